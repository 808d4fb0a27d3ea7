import Events
import Ledger
import Wire

extension GateLoop {
    /// Who asks, and what for.
    func authority(_ session: UnsafeMutablePointer<Session>) -> Authority {
        Authority(
            actor: session.pointee.actor, role: session.pointee.role ?? .auditor,
            account: session.pointee.confinement)
    }

    /// Refuses a confined operator what stands outside its org or team.
    ///
    /// Every verb says here what it is about. Only confined operators come here, so the request is read
    /// a second time rather than that everybody's path asks.
    func confine(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments, _ verb: Verb
    ) throws(Failure) {
        let authority = authority(session)
        func require(_ isInside: Bool, _ what: String) throws(Failure) {
            guard !isInside else { return }
            throw machine.book.outside(
                authority, "\(verb.name)", what, roles: Role.permitted(verb))
        }
        func requireKey(_ asked: KeyReference) throws(Failure) {
            var key = asked
            var what = "that key"
            if case .path(let path) = key, AccountPath.tier(path) != nil { what = path.string }
            resolve(&key)
            try require(machine.book.isInside(key, authority), what)
        }
        func requirePath(_ path: Bytes) throws(Failure) {
            try require(machine.book.isInside(path, authority), path.string)
        }
        var acknowledgement = Acknowledgement.ring
        switch verb {
        case .reserve, .check:
            var request = ReserveRequest()
            try request.read(arguments, verb: verb, acknowledgement: &acknowledgement)
            try requireKey(request.key)
        case .settle:
            let request = try SettleRequest(arguments, acknowledgement: &acknowledgement)
            try require(machine.book.isInside(request.hold, authority), "\(request.hold)")
            if let key = request.key { try requireKey(key) }
        case .extend:
            let request = try ExtendRequest(arguments, acknowledgement: &acknowledgement)
            try require(machine.book.isInside(request.hold, authority), "\(request.hold)")
        case .release:
            let request = try ReleaseRequest(arguments, acknowledgement: &acknowledgement)
            try require(machine.book.isInside(request.hold, authority), "\(request.hold)")
        case .charge:
            try requireKey(
                try ChargeRequest(arguments, acknowledgement: &acknowledgement).key)
        case .explain:
            if LifeQuery.isMeant(by: arguments) { break }  // The readers look, who find it.
            var request = ReserveRequest()
            try request.read(arguments, verb: verb, acknowledgement: &acknowledgement)
            try requireKey(request.key)
        case .append: break  // `Book.objection` knows what each event is about.
        case .get:
            switch try GetQuery(arguments) {
            case .account(let path): try requirePath(path)
            case .hold(let hold):
                try require(machine.book.isInside(hold, authority), "\(hold)")
            case .operator(let name):
                try require(
                    machine.book.isInside(operator: name, authority), "that operator")
            case .price, .alias: break
            }
        case .list:
            let query = try ListQuery(arguments)
            if !query.under.isEmpty { try requirePath(query.under) }
        case .usage: try requirePath(try UsageQuery(arguments).account)
        case .events:
            let query = try EventsQuery(arguments)
            if !query.account.isEmpty { try requirePath(query.account) }
        case .rollups:
            let query = try RollupsQuery(arguments)
            if !query.account.isEmpty { try requirePath(query.account) }
        case .tail:
            let query = try TailQuery(arguments)
            if !query.account.isEmpty { try requirePath(query.account) }
        case .erase:
            let request = try EraseRequest(arguments)
            if !request.account.isEmpty { try requirePath(request.account) }
        case .info, .tree, .log, .names, .personal: try require(false, "of the whole ledger")
        case .hello, .auth, .ping, .echo, .select, .quit, .reset, .client, .command, .config: break
        }
    }
}
