import Audit
import Events
import Gate
import Journal
import Ledger

/// Watches a daemon from outside: keeps every event that was ever staged, folds it twice more (the
/// oracle's way, and with the ledger's own rules, which must decide everything once more), and holds
/// answers, sums, what the read side says and what survives a crash against that.
final class Checker {
    let hurry = Oracle.Hurry()
    private(set) var oracle: Oracle
    let readSide: ReadSide
    let persons = Persons()
    private let story: Story
    private var bytes: [UInt8] = []
    private var ends: [Int] = []

    /// How far the log was durable when the last process ended, and how far it must be found again.
    private var durable: UInt64 = 0
    private var mustSurvive: UInt64 = 0
    private var isOver = true
    private var hadPowerCut = false

    /// The last event that a client was told of, by what it was promised.
    private var toldRing: (seq: UInt64, what: String) = (0, "nothing")
    private var toldDisk: (seq: UInt64, what: String) = (0, "nothing")
    /// Refusals that clients were told of, as the oracle counts them.
    private var toldRefusals: [String: Int64] = [:]
    /// The last event whose accounts were compared.
    private var watched: UInt64 = 0
    /// Commitments whose texts went with a power cut.
    private var forgotten: Set<Commitment> = []
    private var isTorn = false
    /// By whom something was signed that somebody was told.
    private var signer: String?
    private var publishedBy: String?
    private(set) var answers = 0
    private(set) var lost = 0

    init(_ plan: Plan, story: Story) {
        self.story = story
        readSide = ReadSide(calendar: .utc, segmentEvents: plan.segmentEvents)
        oracle = Oracle(hurry)
    }

    var count: UInt64 { UInt64(ends.count) }

    // MARK: The log

    /// Takes what has been staged since the last look.
    func absorb(_ daemon: SteppedDaemon, isDying: Bool) throws {
        var failure: (any Error)?
        if daemon.durableSeq > count {
            // Staged and committed in one go, as at the end of a drain.
            try daemon.readDurable(from: count + 1) { event in
                do { try append(event.bytes) } catch { failure = error }
                return failure == nil
            }
        }
        daemon.withStagedEvents { event in
            guard failure == nil, let stored = try? StoredEvent(event) else { return }
            guard stored.header.seq > count else { return }
            do { try append(event) } catch { failure = error }
        }
        if let failure { throw failure }
        // Of a turn that does not come to its end the texts may be kept, and the events be lost.
        try persons.learn(daemon.journal.personal) { isDying || oracle.commitments[$0] != nil }
        guard daemon.stagedSeq == count else {
            throw Violation(text: "staged up to \(daemon.stagedSeq), seen up to \(count)")
        }
    }
    private func append(_ event: Bytes) throws {
        bytes.append(contentsOf: UnsafeRawBufferPointer(start: event.base, count: event.count))
        ends.append(bytes.count)
        try fold(event)
        let stored = try StoredEvent(event)
        switch stored.header.type {
        case .holdRefused, .holdPlaced, .holdSettled, .holdReleased, .chargeRecorded: break
        default: story.tell("event \(stored.header.seq) \(stored.header.type.name)")
        }
    }
    private func fold(_ event: Bytes) throws {
        try oracle.fold(event)
        try readSide.append(event)
    }
    private func start(_ i: Int) -> Int { i == 0 ? 0 : ends[i - 1] }
    private func truncate(to kept: Int) throws {
        bytes.removeLast(bytes.count - start(kept))
        ends.removeLast(ends.count - kept)
        oracle = Oracle(hurry)
        try readSide.truncate(to: kept)
        let all = bytes
        try all.withUnsafeBytes { raw in
            for i in 0..<kept {
                try oracle.fold(Bytes(raw.baseAddress! + start(i), count: ends[i] - start(i)))
            }
        }
    }

    // MARK: Crashes

    func noteEnd(durable: UInt64) {
        self.durable = max(self.durable, durable)
        isOver = false
    }
    /// - Parameter powerCut: otherwise only the process ended, and all that was staged is there.
    func expectAfterCrash(powerCut: Bool) {
        if powerCut {
            hadPowerCut = true
            mustSurvive = isOver ? min(mustSurvive, durable) : durable
        } else if !isOver {
            mustSurvive = count
        }
        isOver = true
    }

    /// What a daemon finds when it starts is what was there before, as far as it had to survive.
    func checkStart(_ daemon: SteppedDaemon) throws {
        var found: [UInt8] = []
        var foundEnds: [Int] = []
        try daemon.readDurable(from: 1) { event in
            found.append(
                contentsOf: UnsafeRawBufferPointer(
                    start: event.bytes.base, count: event.bytes.count))
            foundEnds.append(found.count)
            return true
        }
        var same = 0
        while same < min(ends.count, foundEnds.count), ends[same] == foundEnds[same],
            bytes[start(same)..<ends[same]] == found[start(same)..<ends[same]]
        {
            same += 1
        }
        guard same >= mustSurvive else {
            throw Violation(
                text: "event \(same + 1) of \(mustSurvive) that had to survive is lost or another "
                    + "(\(count) were staged)")
        }
        guard same >= toldDisk.seq else {
            throw Violation(text: "acknowledged on disk and lost: \(toldDisk.what)")
        }
        if same < ends.count {
            story.tell("lost: events \(same + 1) to \(count), none of them promised")
            lost += ends.count - same
            try truncate(to: same)
        }
        if toldRing.seq > same { toldRing = (UInt64(same), "what was left of it") }
        try found.withUnsafeBytes { raw in
            for i in same..<foundEnds.count {
                let from = i == 0 ? 0 : foundEnds[i - 1]
                try append(Bytes(raw.baseAddress! + from, count: foundEnds[i] - from))
            }
        }
        try compareBooks(daemon)
        try checkReadSide(daemon)
        try checkPersons(daemon)
        if hadPowerCut {
            // Refusals that were only counted may have gone.
            for (key, told) in toldRefusals {
                toldRefusals[key] = min(told, oracle.refusals[key] ?? 0)
            }
            hadPowerCut = false
        } else {
            try checkRefusals()
        }
        durable = daemon.durableSeq
        mustSurvive = count
        isOver = false
    }

    /// What events name can be told, and what was erased cannot. With a power cut goes what was not yet on
    /// disk, and what somebody had asked to be erased, and was not told is, may be torn.
    private func checkPersons(_ daemon: SteppedDaemon) throws {
        let kept = try daemon.keptCommitments()
        for (commitment, seq) in oracle.commitments.sorted(by: { $0.value < $1.value })
        where !kept.contains(commitment) && !forgotten.contains(commitment) {
            guard
                hadPowerCut && seq > mustSurvive
                    || (hadPowerCut || isTorn) && persons.mayBeErased(commitment, oracle.accounts)
            else {
                throw Violation(
                    text: "event \(seq) names \(commitment.text), and nobody can tell whom it means"
                )
            }
            forgotten.insert(commitment)
        }
        for commitment in oracle.erased where kept.contains(commitment) {
            throw Violation(text: "\(commitment.text) was erased and is still there")
        }
        isTorn = false
        persons.noteStart(end: daemon.journal.personal.end)
    }
    func noteTornPersons() { isTorn = true }

    // MARK: Promises

    func promise(_ seq: UInt64, onDisk: Bool, _ mark: Pipe.Mark, _ what: String) throws {
        guard seq <= mark.staged else {
            throw Violation(
                text:
                    "answered before it was staged: \(what) is event \(seq), staged \(mark.staged)")
        }
        if onDisk {
            guard seq <= mark.durable else {
                throw Violation(
                    text: "acknowledged before it was on disk: \(what) is event \(seq), durable "
                        + "\(mark.durable)")
            }
            if seq > toldDisk.seq { toldDisk = (seq, what) }
        } else if seq > toldRing.seq {
            toldRing = (seq, what)
        }
    }
    /// What is signed and told binds the log for ever, and the key with it. Returns how many events it is of.
    func publish(_ note: String) throws -> Int {
        guard let signer, try VerifierKey(parsing: signer).hasSigned(SignedNote(parsing: note))
        else { throw Violation(text: "a checkpoint that the ledger's key has not signed") }
        publishedBy = signer
        return try readSide.publish(note)
    }
    /// A new key is made only where nobody was told anything by the old one.
    func checkSigner(_ status: Notary.Status) throws {
        signer = status.verifierKey.isEmpty ? nil : status.verifierKey
        guard let publishedBy else { return }
        guard signer == publishedBy else {
            throw Violation(
                text: "\(publishedBy) has signed, and the key is now \(signer ?? "none")")
        }
    }
    func noteAnswer() { answers += 1 }
    func noteRefusal(_ key: String) { toldRefusals[key, default: 0] += 1 }
    /// After an orderly end everything that was ever promised stands in the log.
    func checkPromises() throws {
        guard toldRing.seq <= count, toldDisk.seq <= count else {
            throw Violation(text: "promised and not there: \(toldRing.what), \(toldDisk.what)")
        }
    }
    /// Every refusal that was answered stands in the log, by itself or in a sum.
    func checkRefusals() throws {
        for (key, told) in toldRefusals.sorted(by: { $0.key < $1.key }) {
            let logged = oracle.refusals[key] ?? 0
            guard told <= logged else {
                throw Violation(text: "\(told) refusals of \(key) were answered, \(logged) logged")
            }
        }
    }

    // MARK: Sums

    /// Compares what the daemon says with what the oracle reckons: after every event its key, team and
    /// org, now and then a random account, or all.
    func watch(
        _ daemon: SteppedDaemon, isThorough: Bool, random: inout SeededRandom
    ) throws {
        guard !oracle.accounts.isEmpty else { return }
        guard isThorough else {
            if watched != oracle.seq, oracle.seq == daemon.seq {
                watched = oracle.seq
                for account in oracle.lastChain {
                    _ = try usage(oracle.accounts[Int(account)].path, daemon)
                }
            }
            if random.chance(60) { _ = try usage(random.pick(oracle.accounts).path, daemon) }
            return
        }
        try compareBooks(daemon)
        if daemon.durableSeq == daemon.stagedSeq { try readSide.compareTree(daemon.journal) }
        var sums: [String: (used: Int64, held: Int64)] = [:]
        for account in oracle.accounts { sums[account.path] = try usage(account.path, daemon) }
        // Σ keys = team, Σ teams = org, by the daemon's own words.
        for account in oracle.accounts where account.chain.count < 3 {
            let below = oracle.accounts.filter {
                $0.chain.count == account.chain.count + 1 && $0.path.hasPrefix(account.path + "/")
            }
            let used = below.reduce(0) { $0 + sums[$1.path]!.used }
            let held = below.reduce(0) { $0 + sums[$1.path]!.held }
            guard used == sums[account.path]!.used, held == sums[account.path]!.held else {
                throw Violation(
                    text: "\(account.path) has used \(sums[account.path]!) and what is below it "
                        + "\(used), \(held)")
            }
        }
    }
    /// The live book is the fold of the log.
    private func compareBooks(_ daemon: SteppedDaemon) throws {
        guard daemon.seq == count, daemon.digest == readSide.digest else {
            throw Violation(text: "the live book and a replay of the log disagree at \(daemon.seq)")
        }
    }
    /// The account's `usd.total`, once all that `USAGE` says of it is found right.
    private func usage(
        _ path: String, _ daemon: SteppedDaemon
    ) throws -> (used: Int64, held: Int64) {
        guard let text = daemon.usage(of: path), let json = try? JSON(text: text),
            let at = json["at"]?.string?.withBytes({ Instant(parsing: $0) })
        else { throw Violation(text: "no usage of \(path)") }
        let account = oracle.byPath[path]!
        var total: (Int64, Int64) = (0, 0)
        for member in json["limits"]?.members ?? [] {
            guard let kind = member.name.withBytes({ LimitKind($0) }) else {
                throw Violation(text: "\(path): no limit is called \(member.name)")
            }
            func amount(_ name: String) -> Int64? {
                kind.isMoney
                    ? member.value[name]?.string.flatMap { Oracle.scaled($0, 9) }
                    : member.value[name]?.integer
            }
            let (used, held) = oracle.taken(account, kind, at: at)
            guard amount("used") == used, amount("held") ?? held == held,
                amount("limit") == oracle.accounts[Int(account)].limit(kind),
                isRight(member.value, oracle.accounts[Int(account)], kind, amount)
            else {
                throw Violation(
                    text: "\(path) \(kind.name): USAGE says \(member.value.compact), reckoned "
                        + "\(used) and \(held)")
            }
            if kind == LimitKind(.usd, .total) { total = (used, held) }
        }
        guard json["open_holds"]?.integer == oracle.accounts[Int(account)].open else {
            throw Violation(text: "\(path) has \(oracle.accounts[Int(account)].open) open holds")
        }
        guard isRight(json["credit"], account) else {
            throw Violation(
                text: "\(path): USAGE says \(json["credit"]?.compact ?? "nothing") of its credit")
        }
        return total
    }
    /// Whether a limit's override is shown as it stands, or none where none does.
    private func isRight(
        _ shown: JSON, _ account: Oracle.Account, _ kind: LimitKind, _ amount: (String) -> Int64?
    ) -> Bool {
        guard let over = account.overrides[kind] else { return shown["override"] == nil }
        return amount("override") == over.amount && amount("base") == account.limits[kind]
            && shown["until"]?.string?.withBytes { Instant(parsing: $0) } == over.until
            && shown["reason"]?.string?.isEmpty == false
    }
    private func isRight(_ shown: JSON?, _ account: UInt32) -> Bool {
        guard let credit = oracle.accounts[Int(account)].credit else { return shown == nil }
        let money = { (name: String) in shown?[name]?.string.flatMap { Oracle.scaled($0, 9) } }
        let (least, slack) = oracle.creditHeld(by: account)
        guard let held = money("held"), held >= least, held <= least + slack else { return false }
        return money("granted") == credit.granted && money("expired") == credit.expired
            && money("spent") == credit.spent && money("overdrawn") == credit.overdrawn
            && money("left") == max(0, credit.left - held)
    }
}

extension JSON {
    init(text: String) throws(JSONError) {
        self = try text.withBytes { (bytes) throws(JSONError) in try JSON(parsing: bytes) }
    }
    var compact: String {
        var buffer = ByteBuffer()
        buffer.append(self)
        return buffer.string
    }
}
