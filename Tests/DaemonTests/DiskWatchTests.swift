import Foundation
import Glibc
import TestSupport
import Testing

@testable import Gate

private let mebibyte: Int64 = 1 << 20
private let second: Int64 = 1_000_000_000

/// When the disk is worth a word, and when it will be full.
@Suite struct `The disk watch` {
    /// A log that begins with `logged` MiB and grows by `growth` MiB a minute, on a disk with `free` MiB.
    private func watch(
        minutes: Int64, growth: Int64, free: Int64, checkpoints: [Int] = []
    ) -> DiskWatch {
        var watch = DiskWatch(pauseBelow: 64 * mebibyte, checkpointsKept: 2)
        for minute in 0...minutes {
            _ = watch.take(
                DiskWatch.Look(
                    at: minute * 60 * second, free: (free - minute * growth) * mebibyte,
                    logged: (100 + minute * growth) * mebibyte, checkpoints: checkpoints))
        }
        return watch
    }

    @Test(
        arguments: [
            // minutes, MiB a minute, free at first; hours left
            (5, 10, 64 + 50 + 600, 1), (20, 10, 64 + 200 + 1_800, 3), (5, 0, 10_000, nil),
            (0, 10, 10_000, nil), (5, 10, 64 + 50, 0), (5, 10, 50 + 10, 0),
        ] as [(Int64, Int64, Int64, Int64?)])
    func `forecasts when reserves pause`(
        minutes: Int64, growth: Int64, free: Int64, hours: Int64?
    ) {
        let left = watch(minutes: minutes, growth: growth, free: free).secondsLeft
        #expect(left == hours.map { $0 * 3_600 })
    }
    @Test func `sets aside what the next checkpoints take`() {
        let one = 60 * Int(mebibyte)
        let none = watch(minutes: 5, growth: 10, free: 714)
        // One is there: the next stays beside it, and the one after that is written before one goes.
        let first = watch(minutes: 5, growth: 10, free: 714, checkpoints: [one])
        let both = watch(minutes: 5, growth: 10, free: 714, checkpoints: [one, one])
        #expect(none.secondsLeft == 3_600)
        #expect(first.secondsLeft == 2_880)
        #expect(both.secondsLeft == 3_240)
    }
    @Test func `forgets a burst after ten minutes`() {
        var watch = DiskWatch(pauseBelow: 64 * mebibyte, checkpointsKept: 2)
        var logged: Int64 = 100
        for minute in 0...30 as ClosedRange<Int64> {
            if minute < 5 { logged += 1_000 }
            _ = watch.take(
                DiskWatch.Look(
                    at: minute * 60 * second, free: 100_000 * mebibyte, logged: logged * mebibyte))
        }
        #expect(watch.growth == 0 && watch.secondsLeft == nil)
    }
    @Test func `speaks once a crossing, and comes back a quarter above`() {
        var watch = DiskWatch(pauseBelow: 64 * mebibyte, checkpointsKept: 2)
        var told: [DiskWatch.News] = []
        for (i, free) in ([1_000, 256, 255, 254, 300, 319, 200, 320, 1_000, 100] as [Int64])
            .enumerated()
        {
            told += watch.take(
                DiskWatch.Look(at: Int64(i) * second, free: free * mebibyte, logged: mebibyte))
        }
        #expect(told == [.low, .roomAgain, .low])
        #expect(watch.isLow)
    }
    @Test func `says that it is soon, and that it is not any more`() {
        var watch = DiskWatch(pauseBelow: 64 * mebibyte, checkpointsKept: 2)
        var told: [DiskWatch.News] = []
        for minute in 0...20 as ClosedRange<Int64> {
            told += watch.take(
                DiskWatch.Look(
                    at: minute * 60 * second,
                    free: (minute < 15 ? 700 - 10 * minute : 50_000) * mebibyte,
                    logged: (100 + 10 * minute) * mebibyte))
        }
        #expect(told == [.soon, .notSoon])
        #expect(watch.sentence(.soon).isWarning && !watch.sentence(.notSoon).isWarning)
    }
    @Test(
        arguments: [
            (59, "59 s"), (3_600, "about 60 min"), (10_900, "about 3 h"),
            (900_000, "about 10 days"),
        ] as [(Int64, String)])
    func `does not look exact`(seconds: Int64, text: String) {
        #expect(DiskWatch.text(seconds: seconds) == text)
    }
}

extension ThroughTheSocket {
    @Suite struct LowDisk {
        @Test func `a disk with little room is told of before it is too little`() throws {
            let scratch = try Scratch()
            let disk = scratch.file("disk")
            try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
            let mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk]
            guard geteuid() == 0, try ChildProcess(mount, in: scratch).wait() == 0 else {
                print("skipped: only root may mount a small filesystem")
                return
            }
            defer { _ = try? ChildProcess(["umount", "-l", disk], in: scratch).wait() }
            let daemon = try DaemonProcess(
                ThroughTheSocket.small + ["--pause-below-mib", "3"], in: scratch,
                data: disk + "/data")
            _ = try poll("the warning") {
                daemon.errors.contains("reserves pause below 3.0 MiB") ? true : nil
            }
            #expect(try daemon.client().info()["state"] == "normal")
            #expect(try daemon.client().number("disk_pause_below_bytes") == 3 << 20)
            #expect(try daemon.stop() == 0)
        }
    }
}
