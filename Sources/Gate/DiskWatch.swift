/// How long the disk lasts: what is free, how fast the log grows, and what is worth telling.
///
/// Free space alone would do for a forecast, were the disk ours alone. So the rate is that of the log,
/// which only grows; checkpoints come and go, and what the next one takes is set aside.
struct DiskWatch {
    /// One look at the disk.
    struct Look {
        /// Nanoseconds of a clock that only goes forward.
        var at: Int64
        /// Bytes that may still be taken.
        var free: Int64
        /// Bytes of the journal's pages in use.
        var logged: Int64
        /// Bytes of each whole checkpoint, the oldest first.
        var checkpoints: [Int] = []
    }
    /// What a look has changed; each is told once a crossing.
    enum News: Equatable {
        /// Less is free than four times what reserves pause below.
        case low
        /// It is no longer low.
        case roomAgain
        /// At this rate reserves pause within the hour.
        case soon
        /// Not any more.
        case notSoon
    }

    /// Reserves pause when less is free.
    let pauseBelow: Int64
    private let checkpointsKept: Int
    private(set) var free: Int64 = 0
    /// Bytes a second by which the log has grown lately; nil before that is known.
    private(set) var growth: Double?
    /// Seconds until reserves pause, at this rate; nil when the log does not grow, or nobody knows.
    private(set) var secondsLeft: Int64?
    private(set) var isLow = false
    private var isSoon = false
    private var looks: [(at: Int64, logged: Int64)] = []

    /// What the rate is taken over, and how often within it; less than the first is too little to tell.
    static let leastNanoseconds: Int64 = 30_000_000_000
    static let mostNanoseconds: Int64 = 600_000_000_000
    private static let stepNanoseconds: Int64 = 10_000_000_000
    /// Warnings begin at this multiple of the bound, and end a quarter above it.
    static let lowFactor: Int64 = 4
    private static let soonSeconds: Int64 = 3_600

    init(pauseBelow: Int64, checkpointsKept: Int) {
        self.pauseBelow = pauseBelow
        self.checkpointsKept = checkpointsKept
    }

    mutating func take(_ look: Look) -> [News] {
        free = look.free
        // A closed journal has no pages; it has not shrunk.
        if look.logged > 0 { note(look) }
        growth = rate(look)
        secondsLeft = growth.flatMap { rate in
            guard rate > 0 else { return nil }
            let usable = look.free - pauseBelow - roomForCheckpoints(look.checkpoints)
            // A forecast of years is none.
            return min(Int64(Double(max(usable, 0)) / rate), 10 * 365 * 86_400)
        }
        var news: [News] = []
        let low = DiskWatch.lowFactor * pauseBelow
        if free < low, !isLow {
            isLow = true
            news.append(.low)
        } else if isLow, free >= low + low / 4 {
            isLow = false
            news.append(.roomAgain)
        }
        let left = secondsLeft ?? .max
        if left < DiskWatch.soonSeconds, !isSoon {
            isSoon = true
            news.append(.soon)
        } else if isSoon, left > 2 * DiskWatch.soonSeconds {
            isSoon = false
            news.append(.notSoon)
        }
        return news
    }

    private mutating func note(_ look: Look) {
        if let last = looks.last, look.at - last.at < DiskWatch.stepNanoseconds { return }
        looks.append((look.at, look.logged))
        // One look from before the span stays: the rate is over the whole of it.
        while looks.count > 2, look.at - looks[1].at >= DiskWatch.mostNanoseconds {
            looks.removeFirst()
        }
    }
    private func rate(_ look: Look) -> Double? {
        guard let first = looks.first, look.at - first.at >= DiskWatch.leastNanoseconds else {
            return nil
        }
        return Double(max(look.logged - first.logged, 0)) * 1e9 / Double(look.at - first.at)
    }
    /// A new checkpoint stands beside the old ones before the oldest goes; and until as many as are kept
    /// are there, none goes.
    private func roomForCheckpoints(_ sizes: [Int]) -> Int64 {
        guard let newest = sizes.last else { return 0 }
        return Int64(newest) * Int64(max(checkpointsKept - sizes.count, 0) + 1)
    }
}

extension DiskWatch {
    /// `1.5 GiB`: for log lines.
    static func text(bytes: Int64) -> String {
        var (value, rest, unit) = (bytes, Int64(0), 0)
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
        while value >= 1_024, unit < units.count - 1 {
            (value, rest, unit) = (value / 1_024, value % 1_024, unit + 1)
        }
        return unit == 0 || value >= 100
            ? "\(value) \(units[unit])" : "\(value).\(rest * 10 / 1_024) \(units[unit])"
    }
    /// `about 3 h`: a forecast is not exact, and does not look so.
    static func text(seconds: Int64) -> String {
        switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7_200: "about \(seconds / 60) min"
        case ..<172_800: "about \(seconds / 3_600) h"
        default: "about \(seconds / 86_400) days"
        }
    }
    /// What to log of news, and whether it is a warning.
    func sentence(_ news: News) -> (text: String, isWarning: Bool) {
        let forecast = secondsLeft.map {
            "; at the rate of the last minutes that is in \(DiskWatch.text(seconds: $0))"
        }
        let bound = DiskWatch.text(bytes: pauseBelow)
        let free = DiskWatch.text(bytes: free)
        return switch news {
        case .low:
            (
                "\(free) of disk are free, and reserves pause below \(bound)\(forecast ?? ""): make "
                    + "room on the data directory's filesystem",
                true
            )
        case .roomAgain: ("\(free) of disk are free again", false)
        case .soon:
            (
                "reserves pause in \(DiskWatch.text(seconds: secondsLeft ?? 0)) at the rate at which "
                    + "the log grows: \(free) of disk are free, and \(bound) are kept",
                true
            )
        case .notSoon: ("the disk lasts for some hours again: \(free) are free", false)
        }
    }
}
