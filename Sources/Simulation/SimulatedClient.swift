import Events

/// A client: asks, pipelines, repeats, writes and reads in pieces, talks nonsense, vanishes and comes
/// back; and remembers what it was told.
final class SimulatedClient {
    struct KnownHold {
        var name: HoldName
        var key: String
    }
    let number: Int
    unowned let world: World
    private var pipe: Pipe?
    /// Bytes still to be written, and asks whose answers are still to come.
    private var unwritten: [UInt8] = []
    private var asked: [Ask] = []
    /// Asks whose answers got lost: they are asked again.
    private var unsure: [Ask] = []
    private var old: [Ask] = []
    private var holds: [KnownHold] = []
    /// What it was told is charged or settled, the last few.
    private var charged: [HoldName] = []
    private var unread: [UInt8] = []
    /// The event that TAIL sends next, once it has said so.
    private var follows: UInt64?
    /// After nonsense or an error about the connection, answers can no longer be told apart.
    private var isSpoiled = false
    /// Asks nothing new.
    var isTired = false

    init(number: Int, world: World) {
        self.number = number
        self.world = world
    }
    var isAtRest: Bool { asked.isEmpty && unsure.isEmpty && unwritten.isEmpty }
    var oldestAsk: String { (asked.first ?? unsure.first)?.text ?? "its bytes are not read" }

    func someCharge(_ random: inout SeededRandom) -> HoldName? {
        charged.isEmpty ? nil : random.pick(charged)
    }
    func someHold(_ random: inout SeededRandom, keeping: Bool = false) -> KnownHold? {
        guard !holds.isEmpty else { return nil }
        // Mostly a young one.
        let i =
            random.chance(700)
            ? holds.count - 1 - random.below(min(holds.count, 4)) : random.below(holds.count)
        let hold = holds[i]
        if !keeping, random.chance(600) { holds.remove(at: i) }
        return hold
    }
    func someOldAsk(_ random: inout SeededRandom) -> Ask? {
        old.isEmpty ? nil : old[random.below(old.count)]
    }

    /// Whether a move would do anything.
    var canMove: Bool {
        guard let pipe else { return true }
        return !pipe.toClient.isEmpty || pipe.serverClosed
            || !unwritten.isEmpty && !pipe.clientEnded
            || mayAsk && !isSpoiled && !pipe.clientEnded
    }
    private var mayAsk: Bool { asked.count < world.plan.depth || isFollowing }
    /// Whatever is sent next ends a TAIL.
    private var isFollowing: Bool { if case .tail = asked.last?.kind { true } else { false } }
    func move() {
        guard let pipe else { return reconnect() }
        let plan = world.plan
        if !isTired {
            if world.random.chance(plan.vanishing) { return vanish(pipe) }
            if world.random.chance(plan.garbage), !isSpoiled { return talkNonsense() }
        }
        switch world.random.below(4) {
        case 0: write(pipe)
        case 1: read(pipe)
        default:
            read(pipe)
            for _ in 0..<world.random.between(1...plan.depth)
            where mayAsk && !isSpoiled && self.pipe != nil && !pipe.clientEnded {
                ask()
            }
            write(pipe)
        }
        if isTired {
            // Who has ended writing can end a TAIL only so.
            if isFollowing, pipe.clientEnded { return close(pipe) }
            write(pipe)
            read(pipe)
            // Others wait for the place.
            if isAtRest { close(pipe) }
        }
    }

    // MARK: Asking

    private func ask() {
        let isFollowing = isFollowing
        if isFollowing, !isTired, !world.random.chance(30) { return }
        var next: Ask?
        if !unsure.isEmpty {
            // In any order: what was asked last may be the first to be heard of again.
            next = unsure.remove(at: world.random.below(unsure.count))
        } else if !isTired {
            next = world.catalog.ask(self, &world.random)
        } else if isFollowing {
            next = Ask(words: ["PING"], kind: .other)
        }
        guard var ask = next else { return }
        ask.step = world.step
        ask.seq = world.checker.count
        ask.durable = world.durableSeq
        world.checker.persons.note(asking: &ask)
        world.story.tell("client \(number) asks \(ask.text)")
        unwritten += ask.encoded(asFrame: world.random.chance(300))
        asked.append(ask)
        if case .other = ask.kind { return }
        old.append(ask)
        if old.count > 30 { old.removeFirst() }
    }
    private func talkNonsense() {
        isSpoiled = true
        let nonsense = world.random.pick([
            "POST / HTTP/1.1\r\n", "*3\r\n$7\r\nRESER", "*-1\r\n$9999999999\r\n",
            "RESERVE 'open\r\n",
            "RESERVE\r\n", "\u{0}\u{1}\u{2}\r\n\r\n\r\n", "SETTLE 0-0 in=1\r\nQUIT\r\n",
            "*2\r\n$4\r\nPING\r\nX\r\n",
        ])
        world.story.tell("client \(number) talks nonsense")
        unwritten += Array(nonsense.utf8)
    }

    // MARK: Bytes

    private func write(_ pipe: Pipe) {
        guard !unwritten.isEmpty, pipe.toServer.count < 150_000, !pipe.clientEnded,
            !pipe.clientClosed
        else { return }
        var count = unwritten.count
        if world.random.chance(250) { count = world.random.between(1...count) }
        pipe.toServer += unwritten.prefix(count)
        unwritten.removeFirst(count)
        // `printf … | nc -N`: nothing more will come, and the answers are still read.
        if unwritten.isEmpty, !asked.isEmpty, world.random.chance(world.plan.vanishing) {
            pipe.clientEnded = true
            for case .reserve(_, _, _, let id) in asked.map(\.kind) {
                world.checker.hurry.ids.insert(id)
            }
        }
    }
    private func read(_ pipe: Pipe) {
        if pipe.toClient.isEmpty {
            if pipe.serverClosed || isSpoiled && world.random.chance(100) { close(pipe) }
            return
        }
        var count = pipe.toClient.count
        if world.random.chance(250) { count = world.random.between(1...count) }
        unread += pipe.take(count)
        while !isSpoiled, let (reply, length) = nextReply() {
            unread.removeFirst(length)
            hear(reply, pipe.mark(of: pipe.read - UInt64(unread.count)))
        }
        if isSpoiled { unread = [] }
    }
    private func nextReply() -> (Reply, Int)? {
        guard let end = unread.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let line = String(decoding: unread[..<end].dropLast(), as: UTF8.self)
        guard line.hasPrefix("$"), let length = Int(line.dropFirst()) else {
            return (.line(line), end + 1)
        }
        let start = end + 1
        guard unread.count >= start + length + 2 else { return nil }
        let bytes = unread[start..<start + length]
        if case .log = asked.first?.kind { return (.bytes(Array(bytes)), start + length + 2) }
        return (.bulk(String(decoding: bytes, as: UTF8.self)), start + length + 2)
    }
    private func hear(_ reply: Reply, _ mark: Pipe.Mark) {
        if case .line(let line) = reply,
            line.hasPrefix("-ERR max number") || line.hasPrefix("-ERR no more file")
                || line.hasPrefix("-ERR Protocol error")
        {
            world.story.tell("client \(number) is told \(line)")
            isSpoiled = true
            return
        }
        guard !asked.isEmpty else {
            return world.fail("client \(number) hears \(reply.text) and asked nothing")
        }
        if case .tail = asked[0].kind, follow(reply, mark) { return }
        let ask = asked.removeFirst()
        world.checker.persons.note(hearing: ask)
        if case .tree = ask.kind, case .bulk = reply {
            // The key, and with it what it signs, differs from run to run.
            world.story.tell("client \(number) hears of the tree")
        } else {
            world.story.tell("client \(number) hears \(Story.withoutPaths(reply.text))")
        }
        world.check { try Judge(world: world, ask: ask, mark: mark).judge(reply) }
        if case .reserve(let key, _, _, _) = ask.kind, case .line(let line) = reply,
            line.hasPrefix("+ALLOW "),
            let name = line.split(separator: " ")[1].description.withBytes({ HoldName(parsing: $0) }
            )
        {
            holds.append(KnownHold(name: name, key: key))
        }
        if case .line(let line) = reply,
            line.hasPrefix("+CHARGED ") || line.hasPrefix("+SETTLED "),
            let name = line.split(separator: " ")[1].description.withBytes({ HoldName(parsing: $0) }
            )
        {
            charged.append(name)
            if charged.count > 20 { charged.removeFirst() }
        }
    }

    /// Takes what TAIL sends; false for what is no part of it.
    private func follow(_ reply: Reply, _ mark: Pipe.Mark) -> Bool {
        let ask = asked[0]
        switch reply {
        case .bulk(let text):
            guard let seq = follows else { return false }
            world.check { try Judge(world: world, ask: ask, mark: mark).followed(seq, text) }
            follows = seq + 1
            return true
        case .line(let line):
            world.story.tell("client \(number) hears \(Story.withoutPaths(line))")
            func place(behind word: String) -> UInt64? {
                line.firstRange(of: word).flatMap { UInt64(line[$0.upperBound...]) }
            }
            if follows == nil, case .tail(let from) = ask.kind, line == "+TAIL from=\(from)" {
                follows = from
                return true
            }
            guard let next = follows,
                place(behind: "next=") ?? place(behind: "with TAIL from=") == next
            else {
                return false
            }
            follows = nil
            asked.removeFirst()
            return true
        case .bytes: return false
        }
    }

    // MARK: Coming and going

    private func reconnect() {
        if isTired, isAtRest { return }
        guard world.random.chance(isTired ? 900 : 300), let pipe = world.connect() else { return }
        self.pipe = pipe
        isSpoiled = false
    }
    private func vanish(_ pipe: Pipe) {
        world.story.tell("client \(number) vanishes")
        pipe.wasReset = !pipe.toClient.isEmpty && world.random.chance(500)
        close(pipe)
    }
    private func close(_ pipe: Pipe) {
        pipe.clientClosed = true
        self.pipe = nil
        forgetConnection()
    }
    private func forgetConnection() {
        unwritten = []
        unread = []
        follows = nil
        // Nobody follows for ever.
        if isTired, isFollowing { asked.removeLast() }
        // What may or may not have been done is asked once more, or given up.
        for ask in asked where isTired || world.random.chance(800) { unsure.append(ask) }
        asked = []
        isSpoiled = false
    }
    /// After a power cut nothing that was on its way arrives; after a crash what the kernel had does.
    func serverDied(powerCut: Bool) {
        guard let pipe, powerCut else { return }
        pipe.clientClosed = true
        self.pipe = nil
        forgetConnection()
    }
}
