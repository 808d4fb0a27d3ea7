import Events

extension PersonalFile {
    /// Wipes what cannot be read between records, for what nobody finds nobody could have erased; and cuts off
    /// what a power cut left half written at the end, behind which there is none.
    ///
    /// - Returns: where the file ends.
    static func mend(
        _ file: borrowing File, _ size: Int, _ notes: inout [String]
    ) throws(JournalError) -> Int {
        var at = headerBytes
        var bytes = ByteBuffer(capacity: 1 << 20)
        var base = headerBytes
        while at < size {
            if at - base + recordBytesMax > bytes.count, base + bytes.count < size {
                base = at
                bytes.removeAll()
                try file.read(into: &bytes, count: min(size - at, 1 << 20), at: at)
            }
            let rest = bytes.bytes.slice(min(at - base, bytes.count), bytes.count)
            if let length = PersonalRecord.length(rest),
                PersonalRecord(rest.slice(0, length), at: at) != nil
            {
                at += length
                continue
            }
            // Its length may be what is damaged.
            guard let next = try next(file, behind: at, size) else { break }
            let blanks = blank(next - at)
            try file.write(blanks.bytes, at: at)
            notes.append(
                "\(file.path): \(next - at) bytes at byte \(at) could not be read and were wiped; the "
                    + "commitments that stood there cannot be told any more")
            at = next
        }
        if at < size {
            try file.truncate(to: at)
            notes.append("\(file.path): \(size - at) bytes of a torn end were cut off")
        }
        return at
    }
    /// Where the next record begins that can be read, behind something as long as a record; nil where none does.
    static func next(
        _ file: borrowing File, behind at: Int, _ size: Int
    ) throws(JournalError) -> Int? {
        var from = at + recordBytesMin
        var bytes = ByteBuffer(capacity: 1 << 20)
        while from < size {
            bytes.removeAll()
            let count = min(size - from, 1 << 20)
            try file.read(into: &bytes, count: count, at: from)
            // One that reaches over the end of these bytes is looked at with the next.
            let end = from + count < size ? count - recordBytesMax : count
            for i in 0..<end {
                let rest = bytes.bytes.slice(i, count)
                if let length = PersonalRecord.length(rest),
                    PersonalRecord(rest.slice(0, length), at: from + i) != nil
                {
                    return from + i
                }
            }
            from += end
        }
        return nil
    }
    /// Erased records of nothing, so many bytes of them: at least one record's.
    private static func blank(_ count: Int) -> ByteBuffer {
        var blanks = ByteBuffer(capacity: count)
        while blanks.count < count {
            let left = count - blanks.count
            // What is left must be room for another.
            let length = left <= recordBytesMax ? left : min(recordBytesMax, left - recordBytesMin)
            let record = erased(Commitment(low: 0, high: 0), .user, .none, length, 0, 0)
            blanks.append(record.bytes)
        }
        return blanks
    }
}
