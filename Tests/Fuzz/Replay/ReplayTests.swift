import Events
import Foundation
import FuzzTargets
import Testing

/// What the fuzzers once found worth keeping, read again by the same checks without a fuzzer.
@Suite struct Fuzzing {
    /// …/Tests/Fuzz/Replay/ReplayTests.swift
    private static let corpus = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "corpus")

    @Test(arguments: FuzzTarget.allCases)
    func `every kept input and every seed keeps its promises`(target: FuzzTarget) throws {
        let folder = Self.corpus.appending(path: target.rawValue)
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil
        ).filter { !$0.lastPathComponent.hasPrefix(".") }
        #expect(files.count >= 8, "\(target) has a corpus")
        for file in Self.some(files.sorted { $0.path < $1.path }, of: target) {
            let bytes = try [UInt8](Data(contentsOf: file))
            #expect(bytes.count <= 1_024, "\(file.lastPathComponent) is small")
            check(target, bytes, file.lastPathComponent)
        }
        for (number, seed) in Self.some(Array(target.seeds.enumerated()), of: target) {
            check(target, seed, "seed \(number)")
        }
    }

    @Test(arguments: FuzzTarget.allCases)
    func `the same inputs cut short and flipped keep them, too`(target: FuzzTarget) throws {
        let folder = Self.corpus.appending(path: target.rawValue)
        var dice = UInt64.random(in: 0 ... .max)
        let seed = dice
        func roll(_ sides: Int) -> Int {
            dice = dice &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((dice >> 33) % UInt64(sides))
        }
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        for file in Self.some(files.sorted(), of: target) {
            var bytes = try [UInt8](Data(contentsOf: folder.appending(path: file)))
            guard !bytes.isEmpty else { continue }
            for _ in 0..<3 { bytes[roll(bytes.count)] ^= UInt8(1 << roll(8)) }
            check(target, bytes, "\(file), flipped by \(seed)")
            bytes.removeLast(roll(bytes.count))
            check(target, bytes, "\(file), flipped and cut by \(seed)")
        }
    }

    /// A debug build takes milliseconds for each book: of those inputs every fourth will do but in the
    /// long form.
    private static func some<Input>(_ inputs: [Input], of target: FuzzTarget) -> [Input] {
        let isLong = ProcessInfo.processInfo.environment["TOLLGATE_LONG"] == "1"
        let isDear = target == .checkpoint || target == .decide
        guard isDear, !isLong else { return inputs }
        return stride(from: 0, to: inputs.count, by: 4).map { inputs[$0] }
    }
    private func check(_ target: FuzzTarget, _ bytes: [UInt8], _ name: String) {
        bytes.withUnsafeBytes { raw in
            do throws(Broken) {
                try target.check(Bytes(raw))
            } catch {
                Issue.record("\(target.rawValue), \(name): \(error)")
            }
        }
    }
}

/// The properties can fail.
@Suite struct `The fuzzers' own eyes` {
    @Test(arguments: [
        "+OK\r\n+OK\r\n", "+a\nb\r\n", "$3\r\nab\r\n", "*2\r\n:1\r\n", "-err x\r\n", ":01\r\n",
        "OK\r\n",
        "%1\r\n+a\r\n", "+OK\n", "",
    ])
    func `see a reply that is none`(reply: String) {
        let bytes = Array(reply.utf8)
        #expect(throws: Broken.self) {
            try bytes.withUnsafeBytes { try ReplyReader.check(Bytes($0)) }
        }
    }
    @Test(arguments: [
        "+OK\r\n", "$-1\r\n", "*-1\r\n", "$0\r\n\r\n", "*2\r\n:1\r\n%1\r\n+a\r\n_\r\n",
        "-ERR no\r\n",
    ])
    func `let a reply pass`(reply: String) throws {
        try Array(reply.utf8).withUnsafeBytes { try ReplyReader.check(Bytes($0)) }
    }
}
