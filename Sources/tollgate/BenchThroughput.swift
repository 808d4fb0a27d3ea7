import Events
import Glibc

/// 16 connections × 16 pipelined, by redis-benchmark and once more by a client of our own.
struct BenchThroughput: BenchTest {
    let name = "throughput"
    let summary = "RESERVE/s, 16 × 16 pipelined, beside Redis SET and Lua"

    private static let connections = 16
    private static let pipelined = 16
    /// As many as redis-benchmark can count to; it reads an `int`.
    private static let ids = 2_000_000_000
    /// Of a round's requests this part must have been logged, or the ids repeat.
    private static let loggedLeast = 0.99
    /// How long one side of one round should take.
    private static let seconds = 1.0

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let daemon = try BenchPeers.tollgate(context, in: context.makeDirectory("throughput"))
        try BenchLedgerSetup.create(Client(.unix(daemon.socket)))
        let redis =
            BenchPeers.isInstalled("redis-benchmark") ? try BenchPeers.redis(context) : nil
        return try ownClient(context, daemon, redis)
            + (try redis.map { redis throws(CommandFailure) in
                try foreignClient(context, daemon, redis)
            } ?? [])
    }

    // MARK: redis-benchmark

    private func foreignClient(
        _ context: BenchContext, _ daemon: BenchPeers.Server, _ redis: BenchPeers.Server
    ) throws(CommandFailure) -> [BenchRow] {
        var holds = try BenchHolds(daemon.socket)
        let lua = try BenchLua(redis.socket)
        let set = ["SET", "bench:__rand_int__", "xxx"]
        var run = 1_000
        var tasks = [
            Task(daemon.socket, [], range: Self.ids), Task(redis.socket, set, range: 100_000),
            Task(redis.socket, lua.words, range: Self.ids),
            Task(daemon.socket, ["PING"], range: 1), Task(redis.socket, ["PING"], range: 1),
        ]
        let values = try context.alternate(sides: tasks.count) { side throws(CommandFailure) in
            guard side == 0 else { return try tasks[side].measure(context) }
            run += 1
            tasks[0].words = BenchMessage.reserve(run).map {
                $0.replacing("#", with: "__rand_int__")
            }
            let rate = try tasks[0].measure(context)
            let logged = try holds.release(context)
            guard Double(logged) >= Double(tasks[0].count) * Self.loggedLeast else {
                throw CommandFailure(
                    .software, "of \(tasks[0].count) RESERVEs only \(logged) were logged")
            }
            return rate
        }
        let ours = Spread(values[0])
        func row(
            _ name: String, _ peer: String, _ side: Int, _ budget: BenchBudget?
        ) -> BenchRow {
            BenchRow(
                name: "throughput.\(name)",
                what: "RESERVE/s, redis-benchmark, \(Self.connections) × \(Self.pipelined)",
                measure: .perSecond, ours: ours, peer: (peer, Spread(values[side])),
                budget: budget)
        }
        return [
            row("set", "Redis SET", 1, .ratioAtLeast(1.5)),
            row("lua", "Redis Lua script", 2, .ratioAtLeast(40)),
            BenchRow(
                name: "throughput.ceiling",
                what: "PING/s, redis-benchmark, \(Self.connections) × \(Self.pipelined)",
                measure: .perSecond, ours: Spread(values[3]),
                peer: ("Redis PING", Spread(values[4])), note: "the client's own ceiling"),
        ]
    }

    /// One command as redis-benchmark sends it; learns how many make a round.
    private struct Task {
        let socket: String
        var words: [String]
        let range: Int
        private(set) var count = 0

        init(_ socket: String, _ words: [String], range: Int) {
            self.socket = socket
            self.words = words
            self.range = range
        }

        /// Requests a second, as redis-benchmark says.
        mutating func measure(_ context: BenchContext) throws(CommandFailure) -> Double {
            if count == 0 {
                let first = context.count(20_000, smoke: 2_000)
                let rate = try run(context, first)
                count = context.isSmoke ? first : max(Int(rate * BenchThroughput.seconds), first)
            }
            return try run(context, count)
        }
        private func run(_ context: BenchContext, _ count: Int) throws(CommandFailure) -> Double {
            let output = context.path("redis-benchmark.csv")
            let process = try BenchProcess(
                [
                    "run", "redis-benchmark", "-s", socket,
                    "-c", "\(BenchThroughput.connections)", "-P", "\(BenchThroughput.pipelined)",
                    "-n", "\(count)", "-r", "\(range)", "--csv",
                ] + words, output: output)
            try process.finish(context)
            let text = BenchProcess.File.text(output)
            // "test","rps","avg_latency_ms",…; the test's name may hold anything but this.
            let fields = text.split(separator: "\n").last?.split(separator: "\",\"") ?? []
            guard fields.count > 1, let rate = Double(fields[1]), rate > 0 else {
                throw CommandFailure(
                    .protocolBroken,
                    "redis-benchmark says no rate: \(text)"
                        + BenchProcess.File.text(output + ".err"))
            }
            return rate
        }
    }

    // MARK: Our own client

    private func ownClient(
        _ context: BenchContext, _ daemon: BenchPeers.Server, _ redis: BenchPeers.Server?
    ) throws(CommandFailure) -> [BenchRow] {
        var holds = try BenchHolds(daemon.socket)
        let nanoseconds = Int64(context.count(1_000_000_000, smoke: 50_000_000))
        func swarm(_ socket: String, _ words: [String]) throws(CommandFailure) -> BenchSwarm {
            try BenchSwarm(
                socket, connections: Self.connections, pipelined: Self.pipelined, words: words)
        }
        let ours = try swarm(daemon.socket, BenchMessage.reserve(2))
        let peer = try redis.map { redis throws(CommandFailure) in
            try swarm(redis.socket, ["SET", "bench:#", "xxx"])
        }
        let values = try context.alternate(sides: peer == nil ? 1 : 2) {
            side throws(CommandFailure) in
            if side == 1, let peer { return try peer.run(for: nanoseconds, context) }
            let rate = try ours.run(for: nanoseconds, context)
            _ = try holds.release(context)
            return rate
        }
        return [
            BenchRow(
                name: "throughput.own",
                what: "RESERVE/s, the bench's own client, \(Self.connections) × \(Self.pipelined)",
                measure: .perSecond, ours: Spread(values[0]),
                peer: values.count > 1 ? ("Redis SET", Spread(values[1])) : nil,
                note: redis == nil ? BenchPeers.noRedis : "")
        ]
    }
}
