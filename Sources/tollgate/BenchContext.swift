import Events
import Foundation
import Glibc

/// What every measurement of a run shares: a directory of its own, how much to do, and whom to tell.
final class BenchContext {
    /// How much is done: just enough to see it work, what fits a quarter of an hour, or all of it.
    enum Scale { case smoke, usual, long }

    let directory: String
    let scale: Scale
    let rounds: Int
    /// Where the long log is kept from run to run.
    let log: String?
    private let parent: String
    /// See `BenchHistoryLog`.
    var history: BenchHistoryLog?
    /// Directories beside the run's own, for peers that run as another user.
    private var foreign: [String] = []

    init(
        under parent: String?, scale: Scale, rounds: Int, log: String? = nil
    ) throws(CommandFailure) {
        self.log = log
        self.scale = scale
        self.rounds = rounds
        self.parent = parent ?? ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        directory = try Self.makeDirectory(under: self.parent)
    }
    private static func makeDirectory(under parent: String) throws(CommandFailure) -> String {
        var template = Array((parent + "/tollgate-bench-XXXXXX").utf8CString)
        guard let made = mkdtemp(&template) else {
            throw CommandFailure(
                .cannotCreate,
                "no directory under \(parent): \(String(cString: strerror(errno))); say another "
                    + "with --dir")
        }
        return String(cString: made)
    }
    func removeDirectory() { for path in foreign + [directory] { removeDirectory(path) } }
    /// A directory on the same filesystem that belongs to another user, who could not reach one
    /// inside ours.
    func makeDirectory(for user: BenchUser) throws(CommandFailure) -> String {
        let path = try Self.makeDirectory(under: parent)
        foreign.append(path)
        guard chown(path, user.uid, user.gid) == 0 else {
            throw CommandFailure(
                .noPermission, "cannot give \(path) away: \(String(cString: strerror(errno)))")
        }
        return path
    }

    var isSmoke: Bool { scale == .smoke }
    var isLong: Bool { scale == .long }

    /// The path of something inside the run's directory; a measurement numbers its own.
    func path(_ name: String) -> String { directory + "/" + name }
    /// An empty directory for one measurement.
    func makeDirectory(_ name: String) throws(CommandFailure) -> String {
        let path = path(name)
        guard mkdir(path, 0o700) == 0 else {
            throw CommandFailure(
                .cannotCreate, "cannot create \(path): \(String(cString: strerror(errno)))")
        }
        return path
    }
    func removeDirectory(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

    /// How many of something: enough to measure, or just enough to see it work.
    func count(_ full: Int, smoke: Int) -> Int { isSmoke ? smoke : full }
    func checkInterrupt() throws(CommandFailure) {
        if Interrupt.count > 0 { throw CommandFailure(.failure, "interrupted") }
    }
    func note(_ line: String) { Console.note(Style.errors.paint("bench", .dim) + " " + line) }

    /// Runs every side, by its number, once to warm up and then once a round, in turn, so that a
    /// neighbour's noise falls on all of them alike. Answers the values of each side, in rounds.
    ///
    /// One closure for all of them: an array of closures that share variables crashes Swift 6.3.1.
    func alternate(
        sides: Int, _ body: (Int) throws(CommandFailure) -> Double
    ) throws(CommandFailure) -> [[Double]] {
        var values = [[Double]](repeating: [], count: sides)
        for round in 0...rounds {
            for side in 0..<sides {
                try checkInterrupt()
                let value = try body(side)
                if round > 0 { values[side].append(value) }
            }
        }
        return values
    }
}

/// The machine in one line, to stand beside figures that are of it alone.
enum BenchMachine {
    static var line: String {
        var name = utsname()
        uname(&name)
        let release = withUnsafeBytes(of: &name.release) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        var load = [0.0]
        getloadavg(&load, 1)
        let cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        return
            "\(processor), \(cores) cores, Linux \(release), load \(BenchRow.decimal(load[0], 1))"
    }
    private static var processor: String {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
        guard let value = line?.split(separator: ":").last else { return "unknown processor" }
        return value.trimmingCharacters(in: .whitespaces)
    }
}
