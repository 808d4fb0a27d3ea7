import Foundation

/// The files as they lie around this one.
enum Repository {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// What git tracks; outside of a checkout, what lies there, but for hidden directories.
    static let paths: [String] = trackedPaths() ?? walkedPaths()

    /// Those files that are text. One that is tracked and deleted is no file.
    static let texts: [TextFile] = paths.compactMap(read)

    /// What the compiler reads: also files not added to git yet.
    static let sources: [TextFile] = walkedPaths().filter { $0.hasPrefix("Sources/") }
        .compactMap(read)

    private static func read(_ path: String) -> TextFile? {
        guard let data = FileManager.default.contents(atPath: root.appending(path: path).path),
            !data.contains(0), let text = String(data: data, encoding: .utf8)
        else { return nil }
        return TextFile(path: path, text: text)
    }

    private static func trackedPaths() -> [String]? {
        let git = Process()
        git.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        // --full-name would answer for a repository around an unpacked copy; ask for our own only.
        guard FileManager.default.fileExists(atPath: root.appending(path: ".git").path) else {
            return nil
        }
        git.arguments = ["git", "-C", root.path, "ls-files", "-z"]
        let output = Pipe()
        git.standardOutput = output
        git.standardError = FileHandle.nullDevice
        guard (try? git.run()) != nil else { return nil }
        let listing = output.fileHandleForReading.readDataToEndOfFile()
        git.waitUntilExit()
        guard git.terminationStatus == 0, !listing.isEmpty else { return nil }
        return String(decoding: listing, as: UTF8.self).split(separator: "\0").map(String.init)
    }

    private static func walkedPaths() -> [String] {
        guard
            let walk = FileManager.default.enumerator(
                at: root, includingPropertiesForKeys: [.isRegularFileKey],
                options: [.skipsHiddenFiles])
        else { return [] }
        let prefix = root.standardizedFileURL.path + "/"
        var paths: [String] = []
        for case let url as URL in walk {
            let isFile = (try? url.resourceValues(forKeys: [.isRegularFileKey]))?.isRegularFile
            let path = url.standardizedFileURL.path
            if isFile == true, path.hasPrefix(prefix) {
                paths.append(String(path.dropFirst(prefix.count)))
            }
        }
        return paths.sorted()
    }
}
