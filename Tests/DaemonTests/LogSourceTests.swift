import Audit
import Events
import Journal
import TestSupport
import Testing

@testable import tollgate

extension ThroughTheSocket {
    /// The log as programs read it that audit it: the same through the socket and from the directory.
    @Suite struct LogSources {
        private static func events(
            _ source: any LogSource, from first: UInt64, through last: UInt64
        ) throws -> [[UInt8]] {
            var events: [[UInt8]] = []
            try source.readBatches(from: first, through: last) { page in
                for event in page.events {
                    events.append(
                        Array(UnsafeRawBufferPointer(start: event.base, count: event.count)))
                }
                return true
            }
            return events
        }
        private static func source(_ daemon: DaemonProcess) throws -> SocketLog {
            try SocketLog(try tollgate.Client(.unix(daemon.socketPath)))
        }

        @Test func `a daemon and its directory hand out the same events and names`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            // More than one answer to LOG holds.
            let ua = String(repeating: "x", count: 240)
            for round in 0..<80 {
                try client.send(
                    (0..<64).map {
                        "RESERVE \(key) \(model) in=1 out=1 ua=\(ua) id=\(round)-\($0)\n"
                    }.joined())
                for _ in 0..<64 { _ = try client.reply() }
            }
            _ = try client.append("operator.created", #"{"operator":"eve","role":"auditor"}"#)
            let socket = try Self.source(daemon)
            let directory = try DirectoryLog(daemon.dataPath)
            #expect(socket.ledgerID == directory.ledgerID)
            #expect(socket.lastSeq == directory.lastSeq)
            let last = socket.lastSeq
            #expect(last > 5_000)
            let all = try Self.events(socket, from: 1, through: last)
            #expect(all.count == Int(last))
            #expect(all.map(\.count).reduce(0, +) > LogBatch.bytes)
            #expect(try Self.events(directory, from: 1, through: last) == all)
            #expect(try Self.events(socket, from: 7, through: 9) == Array(all[6...8]))
            #expect(try Self.events(directory, from: 7, through: 9) == Array(all[6...8]))

            for source in [socket as any LogSource, directory] {
                #expect(
                    try source.names(.account, from: 0).map(\.name) == ["acme", "acme/ml", key])
                #expect(try source.names(.account, from: 2).map(\.name) == [key])
                #expect(try source.names(.model, from: 0).map(\.name) == [model])
                #expect(try source.names(.operatorName, from: 0).map(\.name) == ["eve"])
                let names = LogNames(source)
                #expect(names.accountName(AccountNumber(1)) == "acme/ml")
                try names.check()
                #expect(names.accountName(AccountNumber(4_000)) == nil)
                #expect(throws: AuditFailure.self) { try names.check() }
            }
        }

        @Test func `a look at an earlier event does not disturb who reads on`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            let ua = String(repeating: "x", count: 240)
            for _ in 0..<80 {
                try client.send(
                    (0..<64).map { _ in "RESERVE \(key) \(model) in=1 out=1 ua=\(ua)\n" }.joined())
                for _ in 0..<64 { _ = try client.reply() }
            }
            let source = try Self.source(daemon)
            let names = LogNames(source)
            var one = LogBatch(capacity: 1_024)
            var (next, batches) = (UInt64(1), 0)
            try source.readBatches { page throws(AuditFailure) in
                #expect(page.firstSeq == next)
                next = page.lastSeq + 1
                batches += 1
                for seq in [3, page.firstSeq, 1] {
                    let found = try source.event(seq, into: &one)
                    #expect(found.header.seq == seq)
                }
                #expect(names.accountName(AccountNumber(2)) == key)
                return true
            }
            #expect(batches > 1 && next == source.lastSeq + 1)
            // What came since is there once one asks how far the log goes.
            let before = source.lastSeq
            _ = try client.append("alias.set", #"{"alias":"fast","model":"\#(model)"}"#)
            #expect(throws: AuditFailure.self) { try source.event(before + 1, into: &one) }
            try source.refresh()
            #expect(source.lastSeq > before)
            #expect(try source.event(source.lastSeq, into: &one).header.type == .aliasSet)
        }

        @Test func `an instant is found where its events begin`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let source = try Self.source(daemon)
            var one = LogBatch(capacity: 1_024)
            for seq in 1...source.lastSeq {
                let time = try source.event(seq, into: &one).header.time
                let first = try source.firstSeq(at: time)
                #expect(first <= seq)
                #expect(try source.event(first, into: &one).header.time == time)
                if first > 1 {
                    #expect(try source.event(first - 1, into: &one).header.time < time)
                }
            }
            #expect(try source.firstSeq(at: .distantPast) == 1)
            #expect(try source.firstSeq(at: .distantFuture) == source.lastSeq + 1)
        }

        @Test func `LOG and NAMES are for whoever audits the whole ledger`() throws {
            let port = try freePort()
            let daemon = try ThroughTheSocket.daemon(["--tcp", "127.0.0.1:\(port)"])
            let admin = try daemon.client()
            func login(_ role: String, _ account: String?) throws -> TestSupport.Client {
                let name = "\(role)-\(account == nil ? "all" : "some")"
                let confined = account.map { #","account":"\#($0)""# } ?? ""
                let event = try admin.append(
                    "operator.created", #"{"operator":"\#(name)","role":"\#(role)"\#(confined)}"#)
                let client = try TestSupport.Client(port: port)
                let secret = try #require(event["secret"] as? String)
                #expect(try client.ask("AUTH \(name) \(secret)").text == "OK")
                return client
            }
            let auditor = try login("auditor", nil)
            #expect(
                try auditor.ask("NAMES accounts from=2").text
                    == #"{"names":{"2":"\#(key)"},"next":null}"#)
            #expect(try auditor.ask("LOG from=1 limit=1").text.utf8.count > 36)
            #expect(try auditor.ask("LOG from=100000").text == "")
            let confined = try login("auditor", "acme")
            let some = try [confined, login("finance", nil), login("relay", nil)]
            for client in some {
                for line in ["LOG from=1", "NAMES accounts"] {
                    #expect(try client.ask(line).text.hasPrefix("-NOPERM"), "\(line)")
                }
            }
        }
    }
}
