import Events
import TestSupport
import Testing

@testable import Audit
@testable import Journal

/// The files of an export to tiles.
@Suite struct `Tiles in a directory` {
    /// Partial files go by what is full now, however deep they lie and whoever left them.
    @Test func `are not kept in part once they are full`() throws {
        let scratch = try Scratch()
        var files = try TileFiles(scratch.file("out"))
        func write(_ level: Int?, _ index: UInt64, _ widths: Int...) throws {
            for width in widths {
                try files.write(
                    Bytes("x" as StaticString),
                    to: TileFiles.path(level: level, index: index, width: width))
            }
        }
        // A log of 1,234,567 full tiles and 8 events: 4,822 tiles of level 1 and 18 of level 2 are full.
        let size: UInt64 = 1_234_567 * 256 + 8
        let full: [(level: Int?, count: UInt64)] = [
            (nil, 1_234_567), (0, 1_234_567), (1, 4_822), (2, 18), (3, 0),
        ]
        var kept: Set<String> = []
        for (level, count) in full {
            for index in [0, 1, 17, 999, 1_000, 4_821, 1_000_017, count - min(count, 1)]
            where index < count {
                try write(level, index, 1, 255, 256)
                kept.insert(TileFiles.path(level: level, index: index, width: 256))
            }
            for index in [count, count + 1, count + 1_000] {
                try write(level, index, 3, 255)
                kept.formUnion(
                    [3, 255].map { TileFiles.path(level: level, index: index, width: $0) })
            }
        }
        for _ in 0..<2 {
            files.removePartial(below: size)
            #expect(Set(Self.files(below: scratch.file("out"), "tile")) == kept)
        }
        try write(0, 0, 9)
    }
    private static func files(below root: String, _ path: String) -> [String] {
        let entries = directoryEntries("\(root)/\(path)")
        return entries.isEmpty ? [path] : entries.flatMap { files(below: root, "\(path)/\($0)") }
    }
}
