import CLMDB
import CLinux
import Events
import Glibc

/// RESERVE and then SETTLE, which waits for the disk, on 64 connections at once; beside LMDB alone
/// taking the same bytes in batches of the same size.
struct BenchPairs: BenchTest {
    let name = "pairs"
    let summary = "RESERVE + SETTLE(disk), 64 connections, beside raw LMDB"

    private static let connections = 64

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let daemon = try BenchPeers.tollgate(context, in: context.makeDirectory("pairs"))
        let control = try Client(.unix(daemon.socket))
        try BenchLedgerSetup.create(control)
        let pairs = try BenchPairSwarm(daemon.socket, connections: Self.connections)
        let raw = try BenchRawLMDB(context.makeDirectory("pairs-raw"))
        let nanoseconds = Int64(context.count(2_000_000_000, smoke: 100_000_000))

        var perPair = 0.0
        var batch = 0.0
        var batches: [Double] = []
        let values = try context.alternate(sides: 2) { side throws(CommandFailure) in
            if side == 1 {
                return try raw.bytesPerSecond(for: nanoseconds, batch: Int(batch), context)
                    / perPair
            }
            let before = try Committed(control)
            let result = try pairs.run(for: nanoseconds, context)
            let after = try Committed(control)
            perPair = (after.bytes - before.bytes) / Double(result.pairs)
            batch = (after.bytes - before.bytes) / max(after.commits - before.commits, 1)
            batches.append(batch)
            return result.perSecond
        }
        let size = Spread(batches).median
        return [
            BenchRow(
                name: "pairs",
                what: "RESERVE + SETTLE(disk) pairs/s, \(Self.connections) connections",
                measure: .perSecond, ours: Spread(values[0]),
                peer: ("raw LMDB, full sync", Spread(values[1])), budget: .ratioAtLeast(0.8),
                note: "\(Int(perPair)) B a pair, \(Int(size)) B a commit")
        ]
    }

    /// What the committer has done since the daemon's start.
    private struct Committed {
        let commits: Double
        let bytes: Double
        init(_ control: Client) throws(CommandFailure) {
            commits = Double(try control.info("commits") ?? 0)
            bytes = Double(try control.info("committed_bytes") ?? 0)
        }
    }
}

/// Connections that each reserve, settle, and begin again.
final class BenchPairSwarm {
    private let links: [Link]
    private var entries: [pollfd]
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: bufferBytes, alignment: 64)
    private static let bufferBytes = 4 << 10

    private final class Link {
        let client: Client
        var reserve: BenchMessage
        var settle = ByteBuffer(capacity: 128)
        var isSettling = false

        init(_ socket: String, from number: Int) throws(CommandFailure) {
            client = try Client(.unix(socket))
            reserve = BenchMessage(BenchMessage.reserveLine(3), from: number)
        }
        func sendReserve() -> Bool {
            reserve.next()
            isSettling = false
            return send(
                client.descriptor, reserve.bytes, reserve.bytes.count, Int32(MSG_NOSIGNAL))
                == reserve.bytes.count
        }
        /// Settles the hold that `+ALLOW <hold> …` names; false for any other answer.
        func sendSettle(_ answer: Bytes) -> Bool {
            guard answer.hasPrefix("+ALLOW ") else { return false }
            let rest = answer.slice(7, answer.count)
            guard let end = rest.firstIndex(of: UInt8(ascii: " ")) else { return false }
            settle.removeAll()
            settle.append("SETTLE " as StaticString)
            settle.append(rest.slice(0, end))
            settle.append(" in=1200 out=100\r\n" as StaticString)
            isSettling = true
            return send(client.descriptor, settle.base, settle.count, Int32(MSG_NOSIGNAL))
                == settle.count
        }
    }

    init(_ socket: String, connections: Int) throws(CommandFailure) {
        var made: [Link] = []
        for i in 0..<connections { made.append(try Link(socket, from: i * 1_000_000_000)) }
        links = made
        entries = made.map { pollfd(fd: $0.client.descriptor, events: Int16(POLLIN), revents: 0) }
    }
    deinit { buffer.deallocate() }

    /// Goes on for a while and then lets every pair end.
    func run(
        for nanoseconds: Int64, _ context: BenchContext
    ) throws(CommandFailure) -> (pairs: Int, perSecond: Double) {
        var pairs = 0
        var busy = links.count
        let start = monotonicNanoseconds()
        var now = start
        for link in links where !link.sendReserve() { throw lost("") }
        while busy > 0 {
            let count = poll(&entries, nfds_t(entries.count), 1_000)
            now = monotonicNanoseconds()
            if count <= 0 { try context.checkInterrupt() }
            for i in links.indices where count > 0 && entries[i].revents != 0 {
                let link = links[i]
                let n = recv(link.client.descriptor, buffer, Self.bufferBytes, 0)
                guard n > 0 else { throw lost("the daemon closed it") }
                let answer = Bytes(buffer, count: n)
                if !link.isSettling {
                    guard link.sendSettle(answer) else { throw lost(answer.string) }
                    continue
                }
                guard answer.hasPrefix("+SETTLED ") else { throw lost(answer.string) }
                pairs += 1
                if now - start >= nanoseconds {
                    busy -= 1
                } else if !link.sendReserve() {
                    throw lost("")
                }
            }
        }
        return (pairs, Double(pairs) / (Double(now - start) / 1e9))
    }
    private func lost(_ why: String) -> CommandFailure {
        CommandFailure(.io, "a pair was not finished: \(why)")
    }
}

/// LMDB as anybody would use it for a log: append, commit with full sync, again.
final class BenchRawLMDB {
    private let environment: OpaquePointer
    private var database = MDB_dbi()
    private var key: UInt = 0
    /// What a value may be; as large as the journal's own pages, so that the tree is the same.
    private static let valueBytesMax = 4 * 4096 - 16

    init(_ directory: String) throws(CommandFailure) {
        var made: OpaquePointer?
        mdb_env_create(&made)
        guard let made else { throw CommandFailure(.software, "no LMDB environment") }
        environment = made
        mdb_env_set_mapsize(environment, 1 << 38)
        try Self.check(mdb_env_open(environment, directory, 0, 0o600))
        var txn: OpaquePointer?
        try Self.check(mdb_txn_begin(environment, nil, 0, &txn))
        try Self.check(mdb_dbi_open(txn, nil, UInt32(MDB_INTEGERKEY), &database))
        try Self.check(mdb_txn_commit(txn))
    }
    deinit { mdb_env_close(environment) }

    func bytesPerSecond(
        for nanoseconds: Int64, batch: Int, _ context: BenchContext
    ) throws(CommandFailure) -> Double {
        // What LMDB is given makes no difference to it, except that the disk may notice zeros.
        var bytes = (0..<max(batch, 64)).map { _ in UInt8.random(in: 0...255) }
        var commits = 0
        let start = monotonicNanoseconds()
        var now = start
        while now - start < nanoseconds {
            try append(&bytes)
            commits += 1
            now = monotonicNanoseconds()
            if commits % 64 == 0 { try context.checkInterrupt() }
        }
        return Double(commits * bytes.count) / (Double(now - start) / 1e9)
    }
    private func append(_ bytes: inout [UInt8]) throws(CommandFailure) {
        var txn: OpaquePointer?
        try Self.check(mdb_txn_begin(environment, nil, 0, &txn))
        var at = 0
        while at < bytes.count {
            let count = min(bytes.count - at, Self.valueBytesMax)
            key += 1
            let code = withUnsafeMutableBytes(of: &key) { raw in
                bytes.withUnsafeMutableBytes { all in
                    var name = MDB_val(mv_size: raw.count, mv_data: raw.baseAddress)
                    var value = MDB_val(mv_size: count, mv_data: all.baseAddress! + at)
                    return mdb_put(txn, database, &name, &value, UInt32(MDB_APPEND))
                }
            }
            try Self.check(code)
            at += count
        }
        try Self.check(mdb_txn_commit(txn))
    }
    private static func check(_ code: Int32) throws(CommandFailure) {
        guard code != 0 else { return }
        throw CommandFailure(
            .io, "LMDB: \(String(cString: mdb_strerror(code))); say another place with --dir")
    }
}
