import Audit
import Events
import Glibc
import Journal
import Ledger
import Reports
import Wire

extension GateLoop {
    /// What happened since the start, for INFO.
    struct Counters {
        var commands: UInt64 = 0
        var connections: UInt64 = 0
        var decisions: UInt64 = 0
        var allowed: UInt64 = 0
        var denied: UInt64 = 0
        var rejectedConnections: UInt64 = 0
    }

    /// Answers one request; false when it has to wait, with nothing done: for room in the ring, or for its
    /// account's if it is parked now.
    mutating func perform(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) -> Bool {
        guard let verb = Verb(arguments[0]) else {
            counters.commands += 1
            appendReply(session) { $0.reply(Handshake.unknownCommand(arguments)) }
            return true
        }
        if verb.mayAppend, !hasRoom(), !isReadOnly { return false }
        counters.commands += 1
        if let failure = forbidden(session, verb) {
            appendReply(session) { $0.reply(failure) }
            return true
        }
        if verb.mayAppend, isReadOnly, verb != .reserve, verb != .extend {
            appendReply(session) {
                $0.reply(
                    Failure(
                        .readOnly, "the log takes no events now: \(journal.stateReason)",
                        of: journal))
            }
            return true
        }
        machine.actor = session.pointee.actor
        let start = machine.outbox.count
        do throws(Failure) {
            if pressure.isHigh, verb == .list || verb == .command { throw GateLoop.busy() }
            if session.pointee.confinement != .none { try confine(session, arguments, verb) }
            switch verb {
            case .reserve, .check: try reserve(session, arguments, verb)
            case .extend: try extend(session, arguments)
            case .settle: try settle(session, arguments)
            case .release: try release(session, arguments)
            case .charge: try charge(session, arguments)
            case .append: try append(session, arguments)
            case .get, .list, .usage: try query(session, arguments, verb)
            case .events: try events(session, arguments)
            case .erase: try erase(session, arguments)
            case .personal:
                let query = try PersonalQuery(arguments)
                ask(session, .personal(from: query.from, limit: query.limit))
            case .explain: try explain(session, arguments)
            case .tail: try tail(session, arguments)
            case .tree: try tree(session, arguments)
            case .rollups: try rollups(session, arguments)
            case .log: try log(session, arguments)
            case .names: try names(session, arguments)
            case .info: appendReply(session) { $0.reply(bulk: info()) }
            case .hello: try hello(session, arguments)
            case .auth:
                try authenticate(session, Credentials(arguments))
                appendReply(session) { $0.reply(simple: "OK") }
            case .quit:
                appendReply(session) { Handshake.quit(into: &$0) }
                session.pointee.closesAfterFlush = true
            case .reset:
                session.pointee.reset()
                noteRole(session)
                appendReply(session) { Handshake.reset(into: &$0) }
            case .ping: appendReply(session) { Handshake.ping(arguments, into: &$0) }
            case .echo: appendReply(session) { Handshake.echo(arguments, into: &$0) }
            case .select: appendReply(session) { Handshake.select(arguments, into: &$0) }
            case .client: client(session, arguments)
            case .command:
                let version = session.pointee.version
                appendReply(session) { Handshake.command(arguments, version, into: &$0) }
            case .config:
                let version = session.pointee.version
                let most = options.connectionsMax
                appendReply(session) {
                    Handshake.config(arguments, clientsMax: most, version, into: &$0)
                }
            }
        } catch {
            appendReply(session) { $0.reply(error) }
        }
        if session.pointee.isParked { return false }
        if !parking.isEmpty, machine.outbox.count > start {
            wakeWaiting(from: start)
            if parking.hasAwake { askWaiting() }
        }
        return true
    }

    @inline(never) private static func busy() -> Failure {
        Failure(.unavailable, "too many answers wait for clients that do not read them: try again")
    }

    /// Why the connection may not use the verb; nil when it may.
    mutating func forbidden(
        _ session: UnsafeMutablePointer<Session>, _ verb: Verb
    ) -> Failure? {
        guard let role = session.pointee.role else {
            return verb.isOpenToAll ? nil : Failure(.noAuth, "Authentication required.")
        }
        if role != .admin || session.pointee.actor.operatorNumber != nil {
            if machine.book.isRevoked(session.pointee.actor) {
                return verb.isOpenToAll ? nil : Failure(.noAuth, "this operator has been revoked")
            }
            if !role.permits(verb) {
                return Failure(
                    .noPermission,
                    "role \(role.name) may not \(verb.name); that needs \(Role.permitted(verb))")
            }
        }
        return nil
    }

    // MARK: The hot verbs

    private mutating func reserve(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments, _ verb: Verb
    ) throws(Failure) {
        var acknowledgement = Acknowledgement.ring
        var request = ReserveRequest()
        try request.read(arguments, verb: verb, acknowledgement: &acknowledgement)
        resolve(&request.key)
        var decided: Int?
        if !machine.book.personal.isEmpty, verb == .reserve, !machine.isPaused {
            decided = try protect(&request.text, of: request.key)
        }
        defer { if let decided { settlePersons(from: decided) } }
        if request.wait > 0 { return reserveOrPark(session, request, acknowledgement) }
        let answer = verb == .reserve ? machine.reserve(request) : machine.check(request)
        count(answer)
        reply(session, answer, acknowledgement)
    }
    @inline(__always)
    mutating func count(_ answer: Answer) {
        counters.decisions += 1
        switch answer {
        case .allowed, .wouldAllow, .extended, .routed: counters.allowed += 1
        case .denied: counters.denied += 1
        default: break
        }
    }
    private mutating func extend(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        var acknowledgement = Acknowledgement.ring
        let request = try ExtendRequest(arguments, acknowledgement: &acknowledgement)
        let answer = machine.extend(request)
        count(answer)
        reply(session, answer, acknowledgement)
    }
    private mutating func settle(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        var acknowledgement = Acknowledgement.disk
        var request = try SettleRequest(arguments, acknowledgement: &acknowledgement)
        if var key = request.key {
            resolve(&key)
            request.key = key
        }
        reply(session, machine.settle(request), acknowledgement)
    }
    private mutating func release(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        var acknowledgement = Acknowledgement.disk
        let request = try ReleaseRequest(arguments, acknowledgement: &acknowledgement)
        reply(session, machine.release(request), acknowledgement)
    }
    private mutating func charge(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        var acknowledgement = Acknowledgement.disk
        var request = try ChargeRequest(arguments, acknowledgement: &acknowledgement)
        resolve(&request.key)
        var decided: Int?
        if !machine.book.personal.isEmpty {
            decided = try protect(&request.text, of: request.key)
        }
        let answer = machine.charge(request)
        if let decided { settlePersons(from: decided) }
        reply(session, answer, acknowledgement)
    }

    mutating func reply(
        _ session: UnsafeMutablePointer<Session>, _ answer: Answer,
        _ acknowledgement: Acknowledgement
    ) {
        // A repeat must wait as the first answer did: it promises the same.
        if acknowledgement == .disk { holdBack(session) }
        let before = session.pointee.output.count
        session.pointee.output.reply(answer, &seconds)
        session.pointee.queued += UInt64(session.pointee.output.count - before)
    }
    func resolve(_ key: inout KeyReference) {
        if case .secret(let text) = key {
            key = memo.digest(of: text).map { .digest($0) } ?? .malformed
        }
    }

    // MARK: Admins

    private mutating func append(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        let request = try AppendRequest(arguments)
        let payload: JSON
        do throws(JSONError) {
            payload = try JSON(parsing: request.json)
        } catch {
            throw Failure(.error, "the payload is \(error.explanation)")
        }
        var secret: String?
        if request.type.needsSecret, payload["secret_sha256"]?.isNull ?? true {
            secret = Secret.generate(environment: environment(request.type, payload))
        }
        let authority = authority(session)
        if let failure = machine.book.objection(to: request.type, payload, by: authority) {
            throw failure
        }
        let digest = secret?.withBytes { Secret.digest($0) } ?? []
        switch try machine.append(request.type, payload, secret: digest) {
        case .repeated(let seq): ask(session, .event(seq: seq))
        case .stored(_, let start):
            // Admin answers wait for the disk, whatever was asked.
            holdBack(session)
            let stored = machine.outbox.bytes.slice(start, machine.outbox.count)
            var json = ByteBuffer(capacity: 1_024)
            do throws(EventError) {
                try json.append(exported: StoredEvent(stored), names: machine.book)
            } catch {
                preconditionFailure("what was just stored can be read: \(error.explanation)")
            }
            if let secret {
                json.truncate(to: json.count - 1)
                json.append(",\"secret\":" as StaticString)
                json.append(quoted: secret)
                json.append(UInt8(ascii: "}"))
            }
            appendReply(session) { $0.reply(bulk: json.bytes) }
        }
    }

    /// What is to stand in a new secret.
    private func environment(_ type: EventType, _ payload: JSON) -> String? {
        switch type {
        case .operatorCreated: "op"
        case .keyRotated:
            payload["account"]?.string?.withBytes { machine.book.environment(of: $0) }
        default: payload["environment"]?.string
        }
    }

    // MARK: Reading

    private mutating func query(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments, _ verb: Verb
    ) throws(Failure) {
        var json = ByteBuffer(capacity: 4_096)
        switch verb {
        case .usage:
            try machine.book.writeUsage(
                of: try UsageQuery(arguments).account, at: machine.now, calendar: calendar,
                into: &json)
        case .list:
            let query = try ListQuery(arguments)
            let listing = listing(query.kind)
            let authority = authority(session)
            guard authority.role.mayList(query.kind) else {
                throw Failure(
                    .noPermission,
                    "role \(authority.role.name) may not LIST \(query.kind.name); that needs "
                        + Role.listing(query.kind))
            }
            try machine.book.writeListing(
                listing, under: query.under, after: query.after, limit: query.limit, for: authority,
                at: machine.now,
                into: &json)
        default:
            switch try GetQuery(arguments) {
            case .account(let path):
                try machine.book.writeAccount(path, at: machine.now, into: &json)
            case .hold(let name): try machine.book.writeHold(name, into: &json)
            case .price(let model, let version):
                try machine.book.writePrice(model, version: version, into: &json)
            case .alias(let alias): try machine.book.writeAlias(alias, into: &json)
            case .operator(let name): try machine.book.writeOperator(name, into: &json)
            }
        }
        appendReply(session) { $0.reply(bulk: json.bytes) }
    }
    private func listing(_ kind: ListQuery.Kind) -> Listing {
        switch kind {
        case .orgs: .orgs
        case .teams: .teams
        case .keys: .keys
        case .prices: .prices
        case .aliases: .aliases
        case .operators: .operators
        case .overrides: .overrides
        }
    }
    private mutating func events(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        var query = try EventsQuery(arguments)
        // Whoever sees only a part of the tree sees that part where nobody asks for less.
        if query.account.isEmpty, let top = machine.book.path(of: session.pointee.confinement) {
            query.account = top
        }
        ask(
            session,
            .events(
                from: query.from, to: query.to, limit: query.limit, type: query.type,
                account: query.account.string))
    }

    /// The log as it is stored.
    private mutating func log(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        let query = try LogQuery(arguments)
        ask(session, .frames(from: query.from, to: query.to, limit: query.limit))
    }
    private mutating func names(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        let query = try NamesQuery(arguments)
        let kind: NameKind =
            switch query.kind {
            case .accounts: .account
            case .models: .model
            case .operators: .operatorName
            }
        ask(session, .names(kind, from: query.from))
    }

    private mutating func explain(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        if LifeQuery.isMeant(by: arguments) {
            let query = try LifeQuery(arguments)
            let top = machine.book.path(of: session.pointee.confinement)?.string ?? ""
            ask(session, .life(query.name, from: query.from, under: top))
            return
        }
        // Nothing is placed, so nothing waits for the disk, whatever `ack=` says.
        var acknowledgement = Acknowledgement.ring
        var request = ReserveRequest()
        try request.read(arguments, verb: .explain, acknowledgement: &acknowledgement)
        resolve(&request.key)
        var json = ByteBuffer(capacity: 4_096)
        machine.explain(request, into: &json)
        appendReply(session) { $0.reply(bulk: json.bytes) }
    }

    private mutating func rollups(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        let asked = try RollupsQuery(arguments)
        var query = RollupQuery()
        query.from = asked.from ?? query.from
        query.to = asked.to ?? query.to
        query.by = try RollupQuery.dimensions(
            asked.by.string, hasZone: !asked.zone.isEmpty)
        query.dates = OrgDates(calendar)
        if !asked.zone.isEmpty {
            query.zone = asked.zone.string
            guard calendar.knows(query.zone) else {
                throw Failure(.error, "zone=\(query.zone) is no IANA time zone")
            }
        }
        if !asked.with.isEmpty { query.parts = try RollupParts(asked.with.string) }
        if !asked.after.isEmpty {
            guard let after = RollupCursor(asked.after.string) else {
                throw Failure(
                    .error,
                    "after=\(echo(asked.after)) is no answer's next: leave it out for the first page"
                )
            }
            query.after = after
        }
        // Who sees only a part of the tree gets that part's sums.
        query.account =
            asked.account.isEmpty
            ? session.pointee.confinement : try machine.book.number(of: asked.account)
        if query.account == AccountNumber.none { query.account = nil }
        ask(session, .rollups(query))
    }

    // MARK: The handshake

    private mutating func hello(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        let query = try HelloQuery(arguments)
        if let credentials = query.credentials { try authenticate(session, credentials) }
        guard session.pointee.role != nil else {
            throw Failure(
                .noAuth,
                "HELLO must be called with the client already authenticated, otherwise the HELLO "
                    + "<proto> AUTH <user> <pass> option can be used to authenticate the client and "
                    + "select the RESP protocol version at the same time")
        }
        if let version = query.version { session.pointee.version = version }
        if let name = query.clientName { session.pointee.clientName = name.string }
        let (id, version) = (session.pointee.id, session.pointee.version)
        let own = self.version
        appendReply(session) { Handshake.hello(id: id, version, tollgateVersion: own, into: &$0) }
    }
    private mutating func authenticate(
        _ session: UnsafeMutablePointer<Session>, _ credentials: Credentials
    ) throws(Failure) {
        guard
            let digest = memo.digest(of: credentials.secret),
            let known = machine.book.authenticate(
                credentials.name, digest: (0..<32).map { digest[$0] })
        else {
            session.pointee.wrongPasswords += 1
            if session.pointee.wrongPasswords >= GateLimits.wrongPasswordsMax {
                session.pointee.closesAfterFlush = true
            }
            throw Failure(.wrongPassword, "invalid username-password pair or operator is revoked.")
        }
        session.pointee.role = known.role
        session.pointee.actor = known.actor
        session.pointee.confinement = known.account
        session.pointee.userName = credentials.name.string
        noteRole(session)
    }
    private mutating func client(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) {
        let age =
            (machine.now.nanoseconds - session.pointee.connectedAt.nanoseconds) / 1_000_000_000
        let client = Handshake.Client(
            id: session.pointee.id, name: session.pointee.clientName,
            version: session.pointee.version, address: session.pointee.address,
            user: session.pointee.userName, ageSeconds: age)
        var name: String?
        appendReply(session) { name = Handshake.client(arguments, client, into: &$0) }
        if let name { session.pointee.clientName = name }
    }

    /// `INFO`: for people, dashboards, and the Redis tools that look for the first few fields.
    private func info() -> String {
        let journal = journal.statistics
        let disk = caretaker?.diskOutlook
        let tree = readers.notary.status
        let uptime = (machine.now.nanoseconds - startedAt.nanoseconds) / 1_000_000_000
        let state: String =
            switch self.journal.state {
            case .normal: "normal"
            case .paused: "paused"
            case .readOnly: "readonly"
            }
        return """
            # Server\r
            redis_version:7.0.0\r
            tollgate_version:\(version)\r
            redis_mode:standalone\r
            process_id:\(getpid())\r
            uptime_in_seconds:\(uptime)\r
            loading:0\r
            # Clients\r
            connected_clients:\(sessionCount)\r
            waiting_answer_bytes:\(pressure.total)\r
            blocked_clients:\(parking.count)\r
            tailing_clients:\(tails.count)\r
            maxclients:\(options.connectionsMax)\r
            # Memory\r
            used_memory:\(residentBytes())\r
            # Stats\r
            total_connections_received:\(counters.connections)\r
            rejected_connections:\(counters.rejectedConnections)\r
            total_commands_processed:\(counters.commands)\r
            decisions:\(counters.decisions)\r
            allowed:\(counters.allowed)\r
            denied:\(counters.denied)\r
            # Ledger\r
            ledger:\(self.journal.ledgerID)\r
            seq:\(machine.book.seq)\r
            durable_seq:\(self.journal.durableSeq)\r
            epoch:\(machine.book.epoch)\r
            accounts:\(machine.book.accountCount)\r
            models:\(machine.book.modelCount)\r
            personal_texts:\(personal.count)\r
            open_holds:\(machine.book.openHolds)\r
            remembered_holds:\(machine.book.rememberedHolds)\r
            # Tree\r
            tree_origin:\(tree.origin)\r
            tree_key:\(tree.verifierKey)\r
            tree_signed_size:\(tree.signedSize)\r
            tree_cosigned_size:\(tree.cosignedSize)\r
            tree_problem:\(self.journal.withoutPlace(tree.problem ?? ""))\r
            # Journal\r
            state:\(state)\r
            state_reason:\(self.journal.withoutPlace(self.journal.stateReason))\r
            commits:\(journal.commits)\r
            committed_events:\(journal.events)\r
            committed_bytes:\(journal.bytes)\r
            failed_commits:\(journal.failedCommits)\r
            last_commit_usec:\(journal.lastCommitNanoseconds / 1_000)\r
            ring_bytes:\(journal.ringBytes)\r
            ring_used_bytes:\(journal.ringUsedBytes)\r
            journal_bytes:\(journal.mapUsedBytes)\r
            disk_free_bytes:\(journal.freeDiskBytes)\r
            disk_pause_below_bytes:\(options.pauseBelowMebibytes << 20)\r
            log_bytes_per_hour:\(disk?.growth.map { "\(Int64($0 * 3_600))" } ?? "")\r
            disk_full_in_seconds:\(disk?.secondsLeft.map { "\($0)" } ?? "")\r
            checkpoint_seq:\(checkpointer.newestSeq)\r
            # Keyspace\r
            db0:keys=\(machine.book.accountCount),expires=0,avg_ttl=0\r

            """
    }
    private func residentBytes() -> Int {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        var text = [UInt8](repeating: 0, count: 128)
        let count = read(file, &text, text.count)
        let fields = text.prefix(max(count, 0)).split(separator: UInt8(ascii: " "))
        guard fields.count > 1, let pages = Int(String(decoding: fields[1], as: UTF8.self)) else {
            return 0
        }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
