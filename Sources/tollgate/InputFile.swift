import Events
import Foundation

/// What a command reads from a file that its user names.
enum InputFile {
    /// The bytes of a file, or of stdin for `-`.
    static func data(_ path: String) throws(CommandFailure) -> Data {
        let bytes =
            path == "-"
            ? FileHandle.standardInput.readDataToEndOfFile()
            : FileManager.default.contents(atPath: path)
        guard let bytes else {
            throw CommandFailure(.noInput, "the file \(path) cannot be read")
        }
        return bytes
    }
    static func text(_ path: String) throws(CommandFailure) -> String {
        String(decoding: try data(path), as: UTF8.self)
    }
    /// - Parameter what: the file, or its line, for the message.
    static func json(_ text: String, of what: String) throws(CommandFailure) -> JSON {
        do throws(JSONError) {
            return try text.withBytes { (bytes) throws(JSONError) in try JSON(parsing: bytes) }
        } catch {
            throw CommandFailure(.data, "\(what) is \(error.explanation)")
        }
    }
}
