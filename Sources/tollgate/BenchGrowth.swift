import Events
import Glibc

/// What a RESERVE costs as the ledger grows: more keys, more open holds, more connections.
///
/// One daemon each, all of them alive at once and asked in turn, so that a neighbour's noise falls on
/// the small and the large alike. (How a start grows with the log is `restart`'s to say.)
struct BenchGrowth: BenchTest {
    enum Dimension: String { case keys, holds, connections }
    let dimension: Dimension

    init(_ dimension: Dimension) { self.dimension = dimension }

    var name: String { dimension.rawValue }
    var summary: String {
        switch dimension {
        case .keys: "RESERVE with 10 keys to 1,000,000"
        case .holds: "RESERVE with no open holds to 1,000,000"
        case .connections: "RESERVE with 1 connection to 5,000"
        }
    }
    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        switch dimension {
        case .keys: try keys(context)
        case .holds: try holds(context)
        case .connections: try connections(context)
        }
    }

    // MARK: Keys and holds

    /// A daemon that is asked one thing after the other.
    private struct Side {
        var size: Int
        var daemon: BenchPeers.Server
        var link: BenchLink
        var holds: BenchHolds
        var messages: [BenchMessage]
        var medians: [Double] = []

        init(_ size: Int, _ daemon: BenchPeers.Server, _ messages: [BenchMessage])
            throws(CommandFailure)
        {
            self.size = size
            self.daemon = daemon
            self.messages = messages
            link = try BenchLink(daemon.socket)
            holds = try BenchHolds(daemon.socket)
        }
    }
    /// The sides take turns several times a round.
    private static let turns = 8
    private static let questions = 2_000

    private func keys(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        var sides: [Side] = []
        for size in context.isSmoke ? [10, 100] : [10, 1_000, 100_000, 1_000_000] {
            try context.checkInterrupt()
            context.note("with \(LoadReport.grouped(size)) keys")
            let directory = try context.makeDirectory("keys-\(size)")
            do {
                let ledger = try BenchLedger.make(
                    keys: size, directory: directory, limits: .onTeams)
                try ledger.waitDurable()
            }
            let daemon = try BenchPeers.tollgate(context, in: directory)
            sides.append(
                try Side(
                    size, daemon, messages(context) { BenchLedger.path(.random(in: 0..<size)) })
            )
        }
        return try measure(context, &sides).map { row in
            var row = row
            row.name = "keys.\(row.name)"
            row.budget = row.name.hasSuffix(".1000000") ? .ratioAtMost(1.10) : nil
            row.what = "RESERVE p50, \(row.what) keys, at random"
            row.peer?.name += " keys"
            return row
        }
    }

    private func holds(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        var sides: [Side] = []
        for size in context.isSmoke ? [0, 100] : [0, 1_000, 100_000, 1_000_000] {
            try context.checkInterrupt()
            context.note("with \(LoadReport.grouped(size)) open holds")
            let daemon = try BenchPeers.tollgate(
                context, in: context.makeDirectory("holds-\(size)"))
            try BenchLedgerSetup.create(Client(.unix(daemon.socket)))
            // A day: none of them lapses while this runs.
            let opener = try BenchSwarm(
                daemon.socket, connections: 16, pipelined: 16,
                words: BenchMessage.reserve(50) + ["ttl=86400"])
            if size > 0 { _ = try opener.run(for: .max, atMost: size, context) }
            sides.append(
                try Side(size, daemon, messages(context) { BenchLedgerSetup.key }))
        }
        return try measure(context, &sides).map { row in
            var row = row
            row.name = "holds.\(row.name)"
            row.what = "RESERVE p50, \(row.what) open holds"
            row.peer?.name += " open holds"
            return row
        }
    }

    /// One request each, so that one round asks for as many keys as it has requests.
    private func messages(_ context: BenchContext, _ key: () -> String) -> [BenchMessage] {
        (0..<context.count(Self.questions, smoke: 20)).map { i in
            var words = BenchMessage.reserve(60)
            words[1] = key()
            return BenchMessage(words.joined(separator: " ") + "\r\n", from: i * 100_000_000)
        }
    }
    /// A row for each side but the first, with the first beside it; named and called by their sizes.
    private func measure(
        _ context: BenchContext, _ sides: inout [Side]
    ) throws(CommandFailure) -> [BenchRow] {
        for round in 0...context.rounds {
            var times = [[Double]](repeating: [], count: sides.count)
            for _ in 0..<context.count(Self.turns, smoke: 1) {
                for i in sides.indices {
                    try context.checkInterrupt()
                    times[i] += try sides[i].link.roundTrips(&sides[i].messages)
                        .map(Double.init)
                    _ = try sides[i].holds.release(context)
                }
            }
            guard round > 0 else { continue }
            for i in sides.indices { sides[i].medians.append(Spread(times[i]).median) }
        }
        return sides.dropFirst().map {
            BenchRow(
                name: "\($0.size)", what: LoadReport.grouped($0.size), measure: .nanoseconds,
                ours: Spread($0.medians),
                peer: (LoadReport.grouped(sides[0].size), Spread(sides[0].medians)))
        }
    }

    // MARK: Connections

    /// The same load on every side: most connections are silent, and each speaks once in a while.
    private static let perSecond = 5_000.0

    private func connections(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let wanted = context.isSmoke ? [1, 16] : [1, 64, 1_000, 5_000]
        // Ours, the daemon's end of them and some of everything else.
        let most = raiseDescriptors(wanted.reduce(0, +) + 256) - 256
        let sizes = wanted.filter { $0 * 2 <= most }
        var loops: [BenchOpenLoop] = []
        var daemons: [BenchPeers.Server] = []
        var holds: [BenchHolds] = []
        for size in sizes {
            context.note("with \(LoadReport.grouped(size)) connections")
            let daemon = try BenchPeers.tollgate(
                context, in: context.makeDirectory("connections-\(size)"))
            try BenchLedgerSetup.create(Client(.unix(daemon.socket)))
            holds.append(try BenchHolds(daemon.socket))
            loops.append(
                try BenchOpenLoop(
                    daemon.socket, connections: size, words: BenchMessage.reserve(70),
                    expected: "+ALLOW "))
            daemons.append(daemon)
        }
        var quantiles = sizes.map { _ in BenchQuantiles.names.map { _ in [Double]() } }
        let nanoseconds = Int64(context.count(2_000_000_000, smoke: 50_000_000))
        for round in 0...context.rounds {
            for i in sizes.indices {
                let histogram = try loops[i].run(
                    perSecond: Self.perSecond, for: nanoseconds, context)
                _ = try holds[i].release(context)
                guard round > 0 else { continue }
                for (q, value) in BenchQuantiles.values(of: histogram).enumerated() {
                    quantiles[i][q].append(value)
                }
            }
        }
        var rows: [BenchRow] = []
        for i in sizes.indices.dropFirst() {
            for q in 0..<2 {
                rows.append(
                    BenchRow(
                        name: "connections.\(sizes[i]).\(BenchQuantiles.names[q])",
                        what: "RESERVE \(BenchQuantiles.names[q]), 5 k/s in turn over "
                            + "\(LoadReport.grouped(sizes[i])) connections, open loop",
                        measure: .nanoseconds, ours: Spread(quantiles[i][q]),
                        peer: ("one connection", Spread(quantiles[0][q])),
                        note: sizes.count < wanted.count
                            ? "no more descriptors: see ulimit -n" : ""))
            }
        }
        withExtendedLifetime(daemons) {}
        return rows
    }
    /// Asks for as many descriptors; how many there are.
    private func raiseDescriptors(_ count: Int) -> Int {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        if limit.rlim_cur < rlim_t(count) {
            limit.rlim_cur = min(rlim_t(count), limit.rlim_max)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        return Int(min(limit.rlim_cur, rlim_t(Int32.max)))
    }
}
