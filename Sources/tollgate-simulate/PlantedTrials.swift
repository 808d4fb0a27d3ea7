#if TOLLGATE_PLANTED_BUGS
import ArgumentParser
import Events
import Glibc

/// Plants one mistake after the other and says how many seeds each took to be found, and whether by what it
/// is. Every mistake gets a process of its own, because some are found by a trap.
enum PlantedTrials {
    static func run(seeds: UInt64, steps: Int) throws {
        print("| planted bug | found by seed | how |\n|---|---|---|")
        var missed = 0
        for bug in PlantedBug.allCases {
            let said = output(
                [
                    "--planted", bug.rawValue, "--seeds", "\(seeds)", "--steps", "\(steps)",
                    "--quiet",
                ])
            let line = said.split(separator: "\n").first { $0.hasPrefix("FOUND by seed ") }
            guard let line else {
                missed += 1
                print("| \(bug.rawValue) | none of \(seeds) | – |")
                continue
            }
            let seed = line.dropFirst("FOUND by seed ".count).prefix { $0.isNumber }
            let how = line.drop { $0 != ":" }.dropFirst(2)
            let isIt = bug.signs.contains { how.contains($0) }
            if !isIt { missed += 1 }
            let other = isIt ? "" : "by something else: "
            print("| \(bug.rawValue) | \(seed) | \(other)\(how.prefix(90)) |")
        }
        if missed > 0 { throw ExitCode(1) }
    }

    /// What this program says when it is run with these arguments.
    private static func output(_ arguments: [String]) -> String {
        let line = (["/proc/\(getpid())/exe"] + arguments).joined(separator: " ")
        guard let pipe = popen(line + " 2>/dev/null", "r") else { return "" }
        defer { pclose(pipe) }
        var said: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = fread(&buffer, 1, buffer.count, pipe)
            guard count > 0 else { return String(decoding: said, as: UTF8.self) }
            said += buffer.prefix(count)
        }
    }
}
#endif
