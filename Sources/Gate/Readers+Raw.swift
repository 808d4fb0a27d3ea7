import Events
import Journal
import Wire

// What programs read that audit the log: frames as they are stored, and the names of their numbers. Whoever
// asks decodes, so that a long audit costs the daemon little more than the copying.

extension Readers {
    /// Frames of consecutive events; none when the log does not reach that far.
    func writeFrames(
        from: UInt64, to: UInt64, limit: Int, into frames: inout ByteBuffer
    ) throws(Failure) {
        let last = min(to, from + UInt64(limit) - 1)
        guard from <= last else { return }
        do throws(JournalError) {
            try journal.readPages(from: from, through: last) { page in
                frames.append(page.frames)
                return frames.count < WireLimits.logBytesMax
            }
        } catch {
            throw Failure(.error, error.message, of: journal)
        }
    }

    /// `{"names":{"0":"acme",…},"next":…}`; `next` is the number to go on with.
    func writeNames(
        _ kind: NameKind, from: UInt32, into json: inout ByteBuffer
    ) throws(Failure) {
        let names: [(number: UInt32, name: String)]
        do throws(JournalError) {
            names = try journal.names(kind, from: from, most: WireLimits.namesLimit)
        } catch {
            throw Failure(.error, error.message, of: journal)
        }
        json.append("{\"names\":{" as StaticString)
        for (i, entry) in names.enumerated() {
            json.append(i > 0 ? ",\"" as StaticString : "\"")
            json.append(decimal: Int64(entry.number))
            json.append("\":" as StaticString)
            json.append(quoted: entry.name)
        }
        json.append("},\"next\":" as StaticString)
        if names.count == WireLimits.namesLimit, let last = names.last {
            json.append(decimal: Int64(last.number) + 1)
        } else {
            json.append("null" as StaticString)
        }
        json.append(UInt8(ascii: "}"))
    }
}
