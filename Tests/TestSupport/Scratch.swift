package import Foundation
internal import Glibc

/// A fresh directory that goes with its owner.
package final class Scratch: Sendable {
    package let path: String

    /// Below /tmp, whatever TMPDIR says: a Unix socket's path must be short.
    package init() throws {
        var template = Array("/tmp/tg-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw POSIXError.current }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    package func file(_ name: String) -> String { path + "/" + name }
    package func file(_ name: String, holding text: String) throws -> String {
        try text.write(toFile: file(name), atomically: false, encoding: .utf8)
        return file(name)
    }
}

extension POSIXError {
    package static var current: POSIXError { POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
}
