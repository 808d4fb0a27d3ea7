import Audit
import CLinux
import Events
import Glibc
import Journal
import Logging
import Reports
import Synchronization
import Wire

/// A few threads that serve whatever scans the log, so that no decision waits for a page to come from
/// disk. The gate posts a question, goes on, and finds the answer in the mailbox.
final class Readers: Sendable {
    /// What is asked, with copies of everything that was borrowed.
    enum Question: Sendable {
        case events(from: UInt64, to: UInt64?, limit: Int, type: EventType?, account: String)
        case event(seq: UInt64)
        case frames(from: UInt64, to: UInt64?, limit: Int)
        case names(NameKind, from: UInt32)
        /// Only of a request in the subtree of `under`, unless that is empty.
        case life(LifeQuery.Name, from: UInt64?, under: String)
        /// The next few events for somebody who follows the log.
        case follow(tail: UInt64, from: UInt64, filter: LogFilter, bytesMax: Int)
        case tree(TreeQuestion)
        case rollups(RollupQuery)
        case personal(from: Int, limit: Int)
    }
    struct Job: Sendable {
        var descriptor: Int32
        var session: UInt64
        var question: Question
        /// What the asker has seen answered must be found, so it is waited for.
        var durableBy: UInt64
        /// Whether the asker is shown what commitments were made of.
        var mayKnowPersons: Bool
    }
    struct Result: Sendable {
        var descriptor: Int32
        var session: UInt64
        /// The whole reply, framed.
        var reply: [UInt8]
        /// Of an answer to `follow`.
        var followed: Followed?
    }

    /// Becomes readable when there are results.
    let mailDescriptor: Int32
    private let wakeDescriptor: Int32
    let journal: Journal
    /// Signs what TREE answers.
    let notary: Notary
    let logger: Logger
    private let persons: PersonalIndex
    private let jobs = Mutex<(queue: ReaderQueue, isStopped: Bool)>((ReaderQueue(), false))
    private let results = Mutex<[Result]>([])
    private let threads = Mutex<[pthread_t]>([])

    init(
        journal: Journal, notary: Notary, threads count: Int, logger: Logger
    ) throws(DaemonFailure) {
        self.journal = journal
        self.notary = notary
        self.logger = logger
        persons = PersonalIndex(journal.personal)
        mailDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_SEMAPHORE))
        guard mailDescriptor >= 0, wakeDescriptor >= 0 else {
            throw .io("cannot make an eventfd: \(String(cString: strerror(errno)))")
        }
        for _ in 0..<count {
            let thread = try Thread.start(name: "tg-reader") { [self] in work() }
            threads.withLock { $0.append(thread) }
        }
    }
    deinit {
        close(mailDescriptor)
        close(wakeDescriptor)
    }

    func post(_ job: Job) {
        jobs.withLock { $0.queue.append(job) }
        signal(wakeDescriptor, 1)
    }
    func takeResults() -> [Result] {
        var count: UInt64 = 0
        _ = read(mailDescriptor, &count, 8)
        return results.withLock { held in
            defer { held.removeAll(keepingCapacity: true) }
            return held
        }
    }
    func stop() {
        jobs.withLock {
            $0.isStopped = true
            $0.queue.removeAll()
        }
        let running = threads.withLock { held in
            defer { held.removeAll() }
            return held
        }
        signal(wakeDescriptor, UInt64(running.count))
        for thread in running { pthread_join(thread, nil) }
    }

    private func signal(_ descriptor: Int32, _ count: UInt64) {
        var count = count
        _ = Glibc.write(descriptor, &count, 8)
    }

    private func work() {
        var names = NameCache(journal: journal)
        while true {
            var count: UInt64 = 0
            if read(wakeDescriptor, &count, 8) < 0, errno == EINTR { continue }
            if !serveNext(&names), jobs.withLock({ $0.isStopped }) { return }
        }
    }
    /// Answers the question whose turn it is; false when none waits.
    func serveNext(_ names: inout NameCache) -> Bool {
        guard let job = jobs.withLock({ $0.queue.removeFirst() }) else {
            return false
        }
        names.begin(showing: job.mayKnowPersons ? persons : nil)
        var result = Result(descriptor: job.descriptor, session: job.session, reply: [])
        if case .follow(let tail, let from, let filter, let most) = job.question {
            (result.reply, result.followed) = follow(tail, from, filter, most, &names)
        } else {
            result.reply = answer(job, &names)
        }
        results.withLock { $0.append(result) }
        signal(mailDescriptor, 1)
        return true
    }
    /// Whether the daemon stops, and long reading should, too.
    var isStopped: Bool { jobs.withLock { $0.isStopped } }
    /// What must be durable before the next question can be answered; nil when none waits.
    var nextWaitsFor: UInt64? { jobs.withLock { $0.queue.first?.durableBy } }

    private func answer(_ job: Job, _ names: inout NameCache) -> [UInt8] {
        var reply = ByteBuffer(capacity: 4_096)
        // While commits fail the past can be read all the same: up to what is durable.
        _ = journal.waitDurable(job.durableBy)
        do throws(Failure) {
            var json = ByteBuffer(capacity: 64 << 10)
            switch job.question {
            case .event(let seq): try write(seq: seq, &names, into: &json)
            case .follow: preconditionFailure("`follow` answers it")
            case .frames(let from, let to, let limit):
                try writeFrames(from: from, to: to ?? .max, limit: limit, into: &json)
            case .names(let kind, let from): try writeNames(kind, from: from, into: &json)
            case .life(let name, let from, let top):
                try writeLife(name, from, under: top, &names, into: &json)
            case .tree(let question): json.append(try tree(question))
            case .rollups(let query): try writeRollups(query, into: &json)
            case .personal(let from, let limit):
                try writePersonal(from: from, limit: limit, &names, into: &json)
            case .events(let from, let to, let limit, let type, let account):
                try write(
                    from: from, to: to ?? .max, limit: limit, type: type, under: account, &names,
                    into: &json)
            }
            reply.reply(bulk: json.bytes)
        } catch {
            reply.reply(error)
        }
        return Array(UnsafeRawBufferPointer(start: reply.base, count: reply.count))
    }

    private func write(
        seq: UInt64, _ names: inout NameCache, into json: inout ByteBuffer
    ) throws(Failure) {
        // It was staged, or nobody would ask for it; but commits may fail meanwhile.
        guard seq <= journal.durableSeq else {
            throw Failure(
                journal.state == .readOnly ? .readOnly : .unavailable,
                "event \(seq) is not on disk yet: \(journal.stateReason); ask again", of: journal)
        }
        var copy = ByteBuffer(capacity: 1_024)
        try export(try copyEvent(seq, into: &copy), &names, into: &json)
    }
    /// The event of a number, which lives as long as `copy`.
    func copyEvent(_ seq: UInt64, into copy: inout ByteBuffer) throws(Failure) -> StoredEvent {
        try scan(from: seq, through: seq) { event in
            copy.append(event.bytes)
            return false
        }
        guard let event = try? StoredEvent(copy.bytes) else {
            throw Failure(.error, "event \(seq) is not in the log")
        }
        return event
    }

    /// A JSON array of the wanted events. Pages of the log are copied out first, because names are
    /// looked up in a read transaction of their own.
    private func write(
        from: UInt64, to: UInt64, limit: Int, type: EventType?, under account: String,
        _ names: inout NameCache, into json: inout ByteBuffer
    ) throws(Failure) {
        json.append(UInt8(ascii: "["))
        var next = from
        var written = 0
        var copies = ByteBuffer(capacity: 256 << 10)
        while next <= to, written < limit, json.count < GateLimits.eventsAnswerBytesMax {
            if jobs.withLock({ $0.isStopped }) {
                throw Failure(.unavailable, "the daemon is stopping")
            }
            copies.removeAll()
            var seen = 0
            let end = try scan(from: next, through: to) { event in
                if type == nil || event.header.type == type { copies.append(event.bytes) }
                seen += 1
                return seen < 4_096 && copies.count < 192 << 10
            }
            guard seen > 0 else { break }
            next = end
            var at = 0
            while at < copies.count, written < limit {
                guard let event = try? StoredEvent(copies.bytes.slice(at, copies.count)) else {
                    break
                }
                at += event.bytes.count
                if !account.isEmpty {
                    let isUnder = names.isUnder(event.header.account, account)
                    if let damage = names.damage { throw Failure(.error, damage) }
                    if !isUnder { continue }
                }
                if written > 0 { json.append(UInt8(ascii: ",")) }
                try export(event, &names, into: &json)
                written += 1
            }
        }
        json.append(UInt8(ascii: "]"))
    }

    @discardableResult
    func scan(
        from: UInt64, through: UInt64, _ body: (StoredEvent) -> Bool
    ) throws(Failure) -> UInt64 {
        do throws(JournalError) {
            return try journal.read(from: from, through: through, body)
        } catch {
            throw Failure(.error, error.message, of: journal)
        }
    }
    func export(
        _ event: StoredEvent, _ names: inout NameCache, into json: inout ByteBuffer
    ) throws(Failure) {
        names.learn(event)
        if let damage = names.damage { throw Failure(.error, damage) }
        do throws(EventError) {
            try json.append(exported: event, names: names)
        } catch {
            throw Failure(.error, "event \(event.header.seq): \(error.explanation)")
        }
    }
}

/// Names by number, looked up in the journal once.
struct NameCache: EventNames {
    private let journal: Journal
    private var accounts: [UInt32: String] = [:]
    private var models: [UInt32: String] = [:]
    private var operators: [UInt32: String] = [:]
    /// What is shown of persons, and what of the event that was learnt last.
    private var persons: PersonalIndex?
    private var texts: [Commitment: String] = [:]

    /// What is wrong with a name that was looked up; nothing is exported under it.
    private(set) var damage: String?

    init(journal: Journal) { self.journal = journal }
    /// Begins another question: it may be about names that are whole, and asked by somebody else.
    mutating func begin(showing persons: PersonalIndex?) {
        damage = nil
        self.persons = persons
    }

    func accountName(_ number: AccountNumber) -> String? { accounts[number.raw] }
    func modelName(_ number: ModelNumber) -> String? { models[number.raw] }
    func operatorName(_ number: UInt32) -> String? { operators[number] }
    func personalText(_ commitment: Commitment, _ field: PersonalField) -> String? {
        texts[commitment]
    }

    /// Looks up the names that exporting this event will ask for.
    mutating func learn(_ event: StoredEvent) {
        _ = path(event.header.account)
        if let number = event.header.actor.operatorNumber, operators[number] == nil {
            operators[number] = look("operator \(number)") { (journal) throws(JournalError) in
                try journal.operatorName(number)
            }
        }
        if !texts.isEmpty { texts.removeAll(keepingCapacity: true) }
        guard let request = RequestEvent(event) else { return }
        if let persons { learn(request, event.header.account, persons) }
        let model = request.model
        if model != .none, models[model.raw] == nil {
            models[model.raw] = look("model \(model.raw)") { (journal) throws(JournalError) in
                try journal.modelName(model)
            }
        }
    }
    /// Looks up what the commitments of a request were made of. Only its own org's count: a caller may
    /// write what looks like one of another's.
    private mutating func learn(
        _ request: RequestEvent, _ account: AccountNumber, _ persons: PersonalIndex
    ) {
        for (field, text) in request.personal {
            guard let commitment = Commitment(text),
                let (org, plain) = persons.text(of: commitment, field)
            else { continue }
            if org != .none {
                let asker = path(account) ?? request.askedKey.string
                guard let name = path(org), asker == name || asker.hasPrefix(name + "/") else {
                    continue
                }
            }
            texts[commitment] = plain
        }
    }
    /// Whether the account is this one or stands below it.
    mutating func isUnder(_ number: AccountNumber, _ path: String) -> Bool {
        guard let name = self.path(number) else { return false }
        return name == path || name.hasPrefix(path + "/")
    }
    mutating func path(_ number: AccountNumber) -> String? {
        guard number != .none else { return nil }
        if let known = accounts[number.raw] { return known }
        // A million keys' names are nothing a cache should keep for ever.
        if accounts.count > 100_000 { accounts.removeAll(keepingCapacity: true) }
        let found = look("account \(number.raw)") { (journal) throws(JournalError) in
            try journal.accountName(number)
        }
        accounts[number.raw] = found
        return found
    }
    /// Whatever an event names was named by an event before it, so no name is damage, too.
    private mutating func look(
        _ what: String, _ body: (Journal) throws(JournalError) -> String?
    ) -> String? {
        do throws(JournalError) {
            if let name = try body(journal) { return name }
            damage =
                "the name of \(what) is missing from the journal; restore the directory from a backup"
            return nil
        } catch {
            damage = journal.withoutPlace(error.message)
            return nil
        }
    }
}
