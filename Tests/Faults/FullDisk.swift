import ArgumentParser
import Foundation
import Glibc
import TestSupport

/// `tollgate-faults full-disk`.
struct FullDisk: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fill a real, small filesystem under a daemon, and make room again.",
        discussion: """
            On tmpfs and on ext4 in a file, mounted where nobody else sees it; skipped with a
            word where that is not permitted. Reserves must pause before the end, settles go
            on into the last room, then all is -READONLY; a start on the full disk says so;
            room again, and everything goes on. What clients were told is compared with the
            log.
            """)

    @Option(help: "Rounds on each filesystem; every second one is killed while it is full.")
    var times = 2
    @Flag(help: .hidden) var inside = false

    func run() throws {
        guard inside else { return try enter() }
        var lost = 0
        for filesystem in SmallFilesystem.Kind.allCases {
            let scratch = try Scratch()
            guard let small = try SmallFilesystem(filesystem, in: scratch) else {
                say("full disk: skipped on \(filesystem), which cannot be mounted here")
                continue
            }
            for round in 1...times {
                var run = FilledRun(small, in: scratch, round)
                let outcome = try run.take()
                say(
                    "full disk, \(filesystem): \(outcome.told) answers,",
                    "\(outcome.settled) settled after the pause,",
                    "\(outcome.flaws.count) lost")
                for flaw in outcome.flaws.prefix(5) { say("    \(flaw)") }
                lost += outcome.flaws.count
            }
        }
        if lost > 0 { throw ExitCode(1) }
    }
    /// Again, where mounts are nobody else's.
    private func enter() throws {
        let scratch = try Scratch()
        let own = ChildProcess.built("tollgate-faults")
        let isPermitted =
            try ChildProcess(["unshare", "-m", "true"], in: scratch, name: "may").wait() == 0
        guard isPermitted else {
            say("full disk: skipped, a mount of one's own is not permitted here (run as root)")
            return
        }
        let environment = ["TOLLGATE_BINARY": DaemonProcess.binary]
        let child = try ChildProcess(
            ["unshare", "-m", "--propagation", "private", own, "full-disk", "--inside"]
                + ["--times", String(times)],
            environment: environment, in: scratch, name: "inside")
        let status = try child.wait(seconds: 3_600)
        say(child.standardOutput)
        if status != 0 {
            say(child.standardError)
            throw ExitCode(1)
        }
    }
}

/// A filesystem of a few MiB.
private final class SmallFilesystem {
    enum Kind: String, CaseIterable { case tmpfs, ext4 }
    let path: String
    private let scratch: Scratch

    /// Nil where it cannot be made.
    init?(_ kind: Kind, in scratch: Scratch) throws {
        path = scratch.file("disk")
        self.scratch = scratch
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        func succeeds(_ words: [String]) -> Bool {
            (try? ChildProcess(words, in: scratch, name: "mount").wait()) == 0
        }
        switch kind {
        case .tmpfs:
            guard succeeds(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", path]) else {
                return nil
            }
        case .ext4:
            let image = scratch.file("image")
            // No blocks are kept back for root, which the daemon may be.
            guard succeeds(["truncate", "-s", "24M", image]),
                succeeds(["mkfs.ext4", "-q", "-F", "-m", "0", image]),
                succeeds(["mount", "-o", "loop", image, path])
            else { return nil }
        }
    }
    deinit { _ = try? ChildProcess(["umount", "-l", path], in: scratch, name: "umount").wait() }

    private var ballast: String { path + "/ballast" }
    func fill(leaving bytes: Int) throws {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { throw RigFailure("cannot look at \(path)") }
        let free = Int(status.f_bavail) * Int(status.f_frsize)
        let file = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0, posix_fallocate(file, 0, off_t(max(free - bytes, 1))) == 0 else {
            throw RigFailure("cannot fill \(path)")
        }
        close(file)
    }
    func makeRoom() { unlink(ballast) }
}

private struct FilledRun {
    struct Outcome {
        var told = 0
        var settled = 0
        var flaws: [String] = []
    }

    private let small: SmallFilesystem
    private let scratch: Scratch
    private let flags = ["--ring-mib", "1", "--pause-below-mib", "1"]
    private let data: String
    private let socket: String
    /// Whether the daemon is killed while the disk is full.
    private let isKilled: Bool
    private var told: [Traffic.Exchange] = []
    private var outcome = Outcome()

    init(_ small: SmallFilesystem, in scratch: Scratch, _ round: Int) {
        self.small = small
        self.scratch = scratch
        data = small.path + "/data\(round)"
        socket = scratch.file("socket\(round)")
        isKilled = round % 2 == 0
    }

    private mutating func expect(_ holds: Bool, _ what: @autoclosure () -> String) {
        if !holds { outcome.flaws.append(what()) }
    }
    private mutating func ask(
        _ client: Client, _ verb: Traffic.Verb, _ line: String, _ name: String
    ) throws -> Reply {
        let reply = try client.ask(line)
        told.append(Traffic.Exchange(verb: verb, line: line, name: name, reply: reply))
        return reply
    }
    private func reserve(_ id: String) -> String {
        // As large as traffic with everything in it.
        let agent = String(repeating: "t", count: 200)
        return "RESERVE acme/ml/k0 \(Traffic.model) in=1 out=1 id=\(id) ua=\(agent)"
    }

    mutating func take() throws -> Outcome {
        defer { try? FileManager.default.removeItem(atPath: data) }
        let daemon = try DaemonProcess(flags, in: scratch, data: data, socket: socket)
        let client = try daemon.client()
        try Traffic.furnish(client)
        told.append(Traffic.checkpoint(client))
        try small.fill(leaving: 3 << 19)
        var holds = try reserveUntilPaused(client)
        for hold in holds.prefix(20) {
            let reply = try ask(client, .settle, "SETTLE \(hold) in=1 out=1", hold)
            expect(reply.words.first == "SETTLED", "a settle in the last room: \(reply)")
            outcome.settled += 1
        }
        holds.removeFirst(min(20, holds.count))
        let patient = try daemon.client()
        let waiting = try chargeUntilReadOnly(client, patient)
        let refused = try daemon.client().ask("RELEASE \(holds[0])")
        expect(refused.text.hasPrefix("-READONLY"), "a release without room: \(refused)")
        // It cannot be kept, and so must not be signed; or it can, and then it binds.
        told.append(Traffic.checkpoint(try daemon.client()))
        let paused = try client.ask(reserve("never"))
        expect(paused.text.hasPrefix("DENY 503 paused"), "a reserve without room: \(paused)")
        expect(try client.ask("USAGE acme").json != nil, "reading goes on")

        if isKilled {
            try daemon.kill()
            try startWithoutRoom()
            small.makeRoom()
        } else {
            small.makeRoom()
            try goOn(client, patient, waiting)
            try daemon.kill()
        }
        try compare(holds, waiting)
        return outcome
    }
    /// It does not start and says what to do; or there was room for its first events after all, and it
    /// says no to whoever wants more.
    private mutating func startWithoutRoom() throws {
        do {
            let daemon = try DaemonProcess(flags, in: scratch, data: data, socket: socket)
            let reply = try daemon.client().ask(reserve("never"))
            expect(reply.text.hasPrefix("DENY 503 paused"), "after a start without room: \(reply)")
            try daemon.kill()
        } catch let ended as DaemonEnded {
            expect(
                ended.status == 74 && ended.errors.contains("room"),
                "a start without room: \(ended)")
        }
    }
    /// In the same process.
    private mutating func goOn(_ client: Client, _ patient: Client, _ waiting: Int) throws {
        try poll("the log to take events again") {
            try client.ask(reserve("room")).words.first == "ALLOW" ? () : nil
        }
        for n in 1...max(waiting, 1) where n <= waiting {
            let line = "CHARGE acme/ml/k0 id=w\(n)"
            let reply = try patient.reply()
            told.append(Traffic.Exchange(verb: .charge, line: line, name: "w\(n)", reply: reply))
        }
    }

    private mutating func reserveUntilPaused(_ client: Client) throws -> [String] {
        var holds: [String] = []
        while holds.count < 100_000 {
            let id = "p\(holds.count)"
            let reply = try ask(client, .reserve, reserve(id), id)
            guard reply.words.first == "ALLOW" else {
                expect(reply.text.hasPrefix("DENY 503 paused"), "before the end: \(reply)")
                break
            }
            holds.append(String(reply.words[1]))
        }
        return holds
    }
    /// Fills the last room. An answer that promises the disk waits for it, so `patient` alone asks
    /// for some of those; how many.
    private mutating func chargeUntilReadOnly(_ client: Client, _ patient: Client) throws -> Int {
        var waiting = 0
        let agent = String(repeating: "t", count: 200)
        for n in 0..<200_000 {
            let charge = "CHARGE acme/ml/k0 \(Traffic.model) in=1 out=1"
            let reply = try ask(
                client, .charge, "\(charge) id=c\(n) ua=\(agent) ack=ring", "c\(n)")
            if reply.isError {
                expect(reply.text.hasPrefix("-READONLY"), "at the end: \(reply)")
                return waiting
            }
            if n % 50 == 0 {
                waiting += 1
                try patient.send("\(charge) id=w\(waiting)\n")
            }
        }
        expect(false, "the disk was never full")
        return waiting
    }
    private mutating func compare(_ holds: [String], _ waiting: Int) throws {
        let next = try DaemonProcess(flags, in: scratch, data: data, socket: socket)
        let client = try next.client()
        let fresh = try ask(client, .reserve, reserve("again"), "again")
        expect(fresh.words.first == "ALLOW", "with room again: \(fresh)")
        for hold in holds.prefix(5) {
            let reply = try ask(client, .settle, "SETTLE \(hold) in=1 out=1", hold)
            expect(reply.words.first == "SETTLED", "with room again: \(reply)")
        }
        // What was refused has not happened: that is looked at before any of it is asked again.
        var past = Past(mayBePaused: true)
        try past.read(client)
        past.check(told)
        let before = told.count
        // Nobody was told of these, or the last of them was told no; asked again, each happens once.
        for n in 1...max(waiting, 1) {
            let line = "CHARGE acme/ml/k0 \(Traffic.model) in=1 out=1 id=w\(n)"
            _ = try ask(client, .charge, line, "w\(n)")
        }
        try past.read(client)
        past.check(Array(told[before...]))
        try past.checkLaws(client)
        outcome.flaws += past.problems
        outcome.told = told.count
        told.append(Traffic.checkpoint(client))
        expect(try next.stop() == 0, "the end: \(next.errors)")
        do throws(Flaw) {
            try Reopening.examine(data, told: told.checkpoints)
        } catch {
            outcome.flaws.append("\(error.kind): \(error.text)")
        }
    }
}
