import Foundation
import Glibc
import TestSupport
import Testing

extension ThroughTheSocket {
    /// Clients that mean harm, many at a time. The long forms are the rig: `deploy/test --long --filter
    /// Hostile` prints its figures.
    @Suite struct HostileClients {
        /// One that asks all the while and must not notice; what it waited longest.
        private struct Bystander {
            let client: Client
            private(set) var waits: [Duration] = []
            init(_ client: Client) { self.client = client }
            mutating func ask() throws {
                let start = ContinuousClock.now
                let reply = try client.ask("RESERVE \(key) \(model) in=10 out=10 ttl=5")
                waits.append(ContinuousClock.now - start)
                try #require(reply.words.first == "ALLOW", "\(reply)")
            }
            /// For the record, not for a verdict: machines differ.
            func figures(_ what: String) {
                let sorted = waits.sorted()
                guard let longest = sorted.last else { return }
                let p99 = sorted[sorted.count * 99 / 100]
                print("\(what): \(sorted.count) asked beside it, p99 \(p99), longest \(longest)")
            }
        }
        private static func raiseDescriptors(to wanted: Int) -> Bool {
            var limit = rlimit()
            let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
            getrlimit(files, &limit)
            guard limit.rlim_max >= UInt(wanted) else {
                print("skipped: the hard limit of descriptors is \(limit.rlim_max)")
                return false
            }
            limit.rlim_cur = min(limit.rlim_max, 60_000)
            return setrlimit(files, &limit) == 0
        }

        @Test func `requests cut at every byte are the same requests`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let bystander = try daemon.client()
            let asked = Array(
                ("CHECK \(key) \(model) in=10\r\n*2\r\n$4\r\nECHO\r\n$3\r\na\r\n\r\n"
                    + "CHECK \(key) \"\(model)\" out=1\n").utf8)
            let client = try daemon.client()
            let whole = try client.exchange(asked, replies: 3)
            for cut in 1..<asked.count {
                try client.send(Array(asked[..<cut]))
                // It asks on the same loop, behind what was just sent.
                #expect(try bystander.ask("PING").text == "PONG")
                try client.send(Array(asked[cut...]))
                let replies = try (0..<3).map { _ in try client.reply() }
                #expect(replies == whole, "cut at \(cut)")
            }
            #expect(try daemon.stop() == 0)
        }

        @Test func `slow lorises are closed when their time is up and hinder nobody`() throws {
            let count = ThroughTheSocket.isLong ? 5_000 : 100
            guard Self.raiseDescriptors(to: count + 500) else { return }
            let daemon = try ThroughTheSocket.daemon(["--idle-line-seconds", "1"])
            var bystander = Bystander(try daemon.client())
            let before = try bystander.client.number("used_memory")
            var most = before
            var lorises = try (0..<count).map { _ in try daemon.client() }
            // Each sends the beginning of a request, and then a byte whenever it is its turn.
            for (i, loris) in lorises.enumerated() {
                try loris.send(i % 2 == 0 ? "RESERVE \(key) " : "*3\r\n$7\r\nRESERVE\r\n$9999\r\n")
            }
            let ended = try poll(seconds: 120, "the end of \(count) lorises") {
                for loris in lorises { _ = try? loris.sendSome([UInt8(ascii: "x")]) }
                try bystander.ask()
                most = max(most, try bystander.client.number("used_memory"))
                lorises.removeAll { loris in
                    do { return try !loris.receiveSome() } catch { return true }
                }
                return lorises.isEmpty ? true : nil
            }
            #expect(ended)
            bystander.figures("\(count) slow lorises, \((most - before) >> 20) MiB more")
            #expect(most - before < (64 << 20) + count * (96 << 10), "\(most - before) bytes more")
            #expect(try daemon.stop() == 0)
        }

        @Test func `clients that take no answers cost bounded memory together`() throws {
            let count = ThroughTheSocket.isLong ? 400 : 12
            let daemon = try ThroughTheSocket.daemon([
                "--idle-line-seconds", ThroughTheSocket.isLong ? "30" : "1",
            ])
            var bystander = Bystander(try daemon.client())
            let events = ThroughTheSocket.isLong ? 20_000 : 1_000
            let charges = (0..<events).map {
                "CHARGE \(key) \(model) in=1 out=1 id=c\($0) ua=\(String(repeating: "x", count: 200)) ack=ring\r\n"
            }
            _ = try bystander.client.exchange(Array(charges.joined().utf8), replies: events)
            let before = try bystander.client.number("used_memory")
            // Each asks for megabytes of log, again and again, and reads nothing. The answers to all of
            // them would be gigabytes.
            let greedy = try (0..<count).map { _ in
                let client = try daemon.client()
                try client.send(String(repeating: "EVENTS limit=10000\r\n", count: 200))
                return client
            }
            var most = 0
            // One after the other is found to take nothing, is closed, and makes room for the next.
            let all = try poll(seconds: 300, "the end of those who read nothing") {
                try bystander.ask()
                most = max(most, try bystander.client.number("used_memory"))
                return try bystander.client.number("connected_clients") == 1 ? true : nil
            }
            #expect(all)
            bystander.figures("\(count) that read nothing, \((most - before) >> 20) MiB more")
            #expect(most - before < 640 << 20, "\(most - before) bytes more")
            #expect(try bystander.client.ask("EVENTS limit=1").text.hasPrefix("[{\"seq\":1,"))
            _ = greedy
            #expect(try daemon.stop() == 0)
        }

        @Test func `connections that come and go leave nothing behind`() throws {
            let rounds = ThroughTheSocket.isLong ? 100_000 : 2_000
            let daemon = try ThroughTheSocket.daemon()
            let bystander = try daemon.client()
            func churn(_ times: Int) throws {
                for round in 0..<times {
                    let client = try daemon.client()
                    switch round % 4 {
                    case 0: break
                    case 1: try? client.send("PI")
                    case 2: try? client.send("CHARGE \(key) \(model) in=1 out=1 id=x\(round)\n")
                    default: #expect(try client.ask("PING").text == "PONG")
                    }
                    client.close()
                }
                _ = try poll("the end of all of them") {
                    try bystander.number("connected_clients") == 1 ? true : nil
                }
            }
            try churn(1_000)
            let before = try bystander.number("used_memory")
            try churn(rounds)
            let after = try bystander.number("used_memory")
            print("\(rounds) connections came and went: \((after - before) >> 10) KiB more")
            // Remembered charges, not connections.
            // The address sanitizer keeps what was freed for a while.
            let kept = ThroughTheSocket.isSanitized ? 64 << 20 : 0
            #expect(after - before < kept + (8 << 20) + rounds * 128)
            #expect(try daemon.stop() == 0)
        }

        @Test func `wrong secrets in a storm are refused and fill no log`() throws {
            let count = ThroughTheSocket.isLong ? 5_000 : 100
            let scratch = try Scratch()
            let port = try freePort()
            let daemon = try DaemonProcess(
                ThroughTheSocket.small + ["--tcp", "127.0.0.1:\(port)"], in: scratch)
            var bystander = Bystander(try daemon.client())
            try bystander.client.furnish()
            let seq = try bystander.client.number("seq")
            let logged = daemon.errors.utf8.count
            let guess = "tg_op_" + String(repeating: "A", count: 36)
            let start = ContinuousClock.now
            for round in 0..<count {
                let client = try Client(port: port)
                // Five in one go, and what would come behind them.
                let tries =
                    round % 2 == 0 ? "AUTH root \(guess)\r\n" : "HELLO 3 AUTH root x\(round)\r\n"
                do { try client.send(String(repeating: tries, count: 50)) } catch is POSIXError {}
                let answers = try client.rest().split(separator: "\r\n")
                #expect(answers.count <= 5 && answers.allSatisfy { $0.hasPrefix("-WRONGPASS") })
                if round % 10 == 0 { try bystander.ask() }
            }
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            print("\(count * 5) wrong secrets: \(Int(Double(count * 5) / seconds)) a second")
            bystander.figures("a storm of wrong secrets")
            let holds = try bystander.client.events(from: seq + 1)
            #expect(holds.allSatisfy { $0.type.hasPrefix("hold.") || $0.type == "window.opened" })
            #expect(daemon.errors.utf8.count - logged < 4_096, "\(daemon.errors.suffix(4_096))")
            #expect(try daemon.stop() == 0)
        }

        @Test func `who has authenticated is waited for no longer than others`() throws {
            let port = try freePort()
            let daemon = try ThroughTheSocket.daemon([
                "--tcp", "127.0.0.1:\(port)", "--idle-line-seconds", "1",
            ])
            let admin = try daemon.client()
            let made = try admin.append("operator.created", #"{"operator":"r","role":"relay"}"#)
            let clients = try (0..<8).map { _ in try Client(port: port) }
            for client in clients {
                // Each of them was watched until it said who it is, and then watched no more.
                #expect(try client.ask("AUTH r \(made.text("secret"))").text == "OK")
                #expect(try client.ask("RESET").text == "RESET")
                #expect(try client.ask("AUTH r \(made.text("secret"))").text == "OK")
                try client.send("CHECK \(key) ")
            }
            for client in clients {
                #expect(try client.rest().hasPrefix("-ERR Protocol error: the request was not"))
            }
            #expect(try daemon.stop() == 0)
        }

        @Test func `ten thousand connections, of which a thousand ask`() throws {
            guard ThroughTheSocket.isLong, Self.raiseDescriptors(to: 10_500) else { return }
            let daemon = try ThroughTheSocket.daemon(["--connections-max", "10100"])
            let admin = try daemon.client()
            func rounds(_ clients: ArraySlice<Client>, _ count: Int) throws -> [Duration] {
                var waits: [Duration] = []
                for _ in 0..<count {
                    for client in clients {
                        let start = ContinuousClock.now
                        let reply = try client.ask("RESERVE \(key) \(model) in=1 out=1 ttl=1")
                        waits.append(ContinuousClock.now - start)
                        try #require(reply.words.first == "ALLOW", "\(reply)")
                    }
                }
                return waits.sorted()
            }
            let alone = try rounds([admin], 10_000)
            let before = try admin.number("used_memory")
            let clients = try (0..<10_000).map { _ in try daemon.client() }
            for client in clients { #expect(try client.ask("PING").text == "PONG") }
            #expect(try admin.number("connected_clients") == 10_001)
            let active = try rounds(clients.prefix(1_000), 10)
            // And all of the thousand at once, every one answered.
            for client in clients.prefix(1_000) {
                try client.send("RESERVE \(key) \(model) in=1 out=1 ttl=1\r\n")
            }
            for client in clients.prefix(1_000) {
                #expect(try client.reply().words.first == "ALLOW")
            }
            let memory = (try admin.number("used_memory") - before) >> 20
            print(
                "10,000 connections, 1,000 of them active: p50 \(active[5_000]) against "
                    + "\(alone[5_000]) alone, p99 \(active[9_900]) against \(alone[9_900]), "
                    + "\(memory) MiB")
            for client in clients { client.close() }
            #expect(try daemon.stop() == 0)
        }

        /// A peer behind a link that goes dead: nothing tells the daemon, it has to find out.
        @Test func `half-open connections are found and closed`() throws {
            guard ThroughTheSocket.isLong else { return }
            guard let link = DeadLink() else {
                print("skipped: no right to make a network namespace")
                return
            }
            let scratch = try Scratch()
            let daemon = try DaemonProcess(
                ThroughTheSocket.small + ["--tcp", "\(link.daemonAddress):7000"], in: scratch,
                wrapper: link.wrapper)
            let admin = try daemon.client()
            try admin.furnish()
            let made = try admin.append("operator.created", #"{"operator":"r","role":"auditor"}"#)
            let clients = try (0..<20).map { i in
                let client = try Client(address: link.daemonAddress, port: 7000)
                #expect(try client.ask("AUTH r \(made.text("secret"))").text == "OK")
                // Half of them have an answer on its way when the link dies.
                if i % 2 == 0 { try client.send("EVENTS\r\n") }
                return client
            }
            #expect(try admin.number("connected_clients") == 21)
            link.die()
            let start = ContinuousClock.now
            let found = try poll(seconds: 240, "the end of 20 half-open connections") {
                try admin.number("connected_clients") == 1 ? true : nil
            }
            #expect(found)
            print("20 half-open connections were closed after \(ContinuousClock.now - start)")
            for client in clients { client.close() }
            #expect(try daemon.stop() == 0)
        }
    }
}

/// A network namespace for a daemon, joined to ours by a cable that can be cut.
private final class DeadLink {
    private let name = "tg\(UInt16.random(in: 0 ... .max))"
    let daemonAddress = "10.251.7.2"
    var wrapper: [String] { ["ip", "netns", "exec", name] }

    init?() {
        let steps = [
            "netns add \(name)",
            "link add \(name)a type veth peer name \(name)b netns \(name)",
            "address add 10.251.7.1/30 dev \(name)a", "link set \(name)a up",
            "-n \(name) address add \(daemonAddress)/30 dev \(name)b",
            "-n \(name) link set \(name)b up", "-n \(name) link set lo up",
        ]
        guard geteuid() == 0, steps.allSatisfy({ Self.ip($0) }) else {
            _ = Self.ip("netns delete \(name)")
            return nil
        }
    }
    deinit { _ = Self.ip("netns delete \(name)") }

    /// Frames are lost without a word; neither kernel sees the cable go.
    func die() {
        _ = Self.ip("-n \(name) neighbour replace 10.251.7.1 lladdr 02:00:00:00:00:01 dev \(name)b")
        _ = Self.ip("neighbour replace \(daemonAddress) lladdr 02:00:00:00:00:02 dev \(name)a")
    }
    private static func ip(_ words: String) -> Bool {
        guard let scratch = try? Scratch(),
            let child = try? ChildProcess(
                ["ip"] + words.split(separator: " ").map(String.init), in: scratch, name: "ip")
        else { return false }
        return (try? child.wait()) == 0
    }
}
