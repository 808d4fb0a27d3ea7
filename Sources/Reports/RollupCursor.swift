import Events

/// Where a page of an answer ended, so that the next can go on there. Whoever asks gives it back as it is.
package enum RollupCursor: Equatable, Sendable {
    /// The hour to go on with, in minutes since 1970; by key the run of accounts.
    case number(UInt32)
    /// A run of accounts, from an hour on.
    case runFrom(UInt32, UInt32)
    /// Of a tag: the hour to go on with.
    case dayRows(UInt32)
    /// Of a tag: the stored key, behind its kind, of the row that was taken last.
    case tagRows([UInt8])

    package init?(_ text: String) {
        let rest = text.dropFirst()
        let numbers = rest.split(separator: "-", omittingEmptySubsequences: false).map {
            UInt32($0)
        }
        switch text.first {
        case "r":
            guard numbers.count == 2, let run = numbers[0], let hour = numbers[1] else {
                return nil
            }
            self = .runFrom(run, hour)
        case "d":
            guard numbers.count == 1, let hour = numbers[0] else { return nil }
            self = .dayRows(hour)
        case "t":
            guard let key = hexBytes(String(rest)), key.count < RollupBounds.keyBytesMax else {
                return nil
            }
            self = .tagRows(key)
        default:
            guard let number = UInt32(text) else { return nil }
            self = .number(number)
        }
    }
}

extension RollupCursor: CustomStringConvertible {
    package var description: String {
        switch self {
        case .number(let number): return "\(number)"
        case .runFrom(let run, let hour): return "r\(run)-\(hour)"
        case .dayRows(let hour): return "d\(hour)"
        case .tagRows(let key): return "t" + key.withUnsafeBytes { Bytes($0).hex }
        }
    }
}
