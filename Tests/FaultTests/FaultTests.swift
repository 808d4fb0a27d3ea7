import Foundation
import TestSupport
import Testing

/// The rig of `deploy/faults`, in its short forms; with TOLLGATE_LONG=1 in longer ones.
@Suite(.serialized) struct `Broken disks and daemons` {
    private static let isLong = ProcessInfo.processInfo.environment["TOLLGATE_LONG"] == "1"

    /// What the command said; it ends with 0 when nothing was lost and the rig is alive.
    private func rig(_ words: [String]) throws -> String {
        let scratch = try Scratch()
        let environment = ["TOLLGATE_BINARY": DaemonProcess.binary]
        let command = try ChildProcess(
            [ChildProcess.built("tollgate-faults")] + words, environment: environment, in: scratch,
            name: "faults")
        let status = try command.wait(seconds: 3_600)
        let said = command.standardOutput
        print(said)
        #expect(status == 0, "\(said)\(command.standardError)")
        return said
    }
    /// The number in front of a word.
    private func count(_ word: String, in said: String) -> Int {
        let words = said.split(whereSeparator: { $0.isWhitespace || $0 == "," || $0 == ":" })
        return words.firstIndex { $0 == word }.flatMap { $0 > 0 ? Int(words[$0 - 1]) : nil } ?? 0
    }

    @Test func `a power cut loses nothing that was promised, and a disk that lies is noticed`()
        throws
    {
        let times = Self.isLong ? 10_000 : 120
        let said = try rig(["power-cut", "--times", String(times)])
        #expect(count("states", in: said) == times)
    }
    @Test func `a call to the disk that fails loses nothing that was answered`() throws {
        let times = Self.isLong ? 0 : 10
        let said = try rig(["failing-disk", "--times", String(times), "--cuts", "4"])
        #expect(count("states", in: said) >= 10)
    }
    @Test func `a full disk pauses, refuses, and loses nothing`() throws {
        let said = try rig(["full-disk", "--times", Self.isLong ? "4" : "1"])
        #expect(said.contains("skipped") || said.contains("0 lost"))
    }
    @Test func `a bit that flips on the disk is never served`() throws {
        let times = Self.isLong ? 2_000 : 24
        let said = try rig(["bit-flip", "--times", String(times)])
        #expect(count("flips", in: said) == times)
    }
    @Test func `kill -9 in front of any call to the disk loses nothing that was answered`() throws {
        let said = try rig(["kill", "--each-call", "--times", Self.isLong ? "0" : "8"])
        #expect(count("kills", in: said) >= 8)
    }
}
