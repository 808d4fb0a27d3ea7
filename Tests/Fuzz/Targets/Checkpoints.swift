import Events
import Ledger

/// A book that was written down, damaged.
///
/// The first byte says what the input is: 0, the book itself; any other, one of the books our own ledger
/// has written, and then changes to it of six bytes each: where (u16), how, and with what. So the inputs
/// outlive a change of the layout, and the fuzzer reaches the middle of a book without guessing its front.
enum Checkpoints {
    static func check(_ input: Bytes) throws(Broken) {
        guard input.count > 0 else { return }
        if input[0] == 0 { return try read(input.from(1)) }
        var book = books[Int(input[0]) % books.count]
        Edits.apply(input.from(1), to: &book)
        try book.withBytes { (bytes) throws(Broken) in try read(bytes) }
    }

    /// Damaged bytes are no book, or they are one that can be written down and read again.
    static func read(_ bytes: Bytes) throws(Broken) {
        guard let book = Book(decoding: bytes) else { return }
        var first = ByteBuffer()
        book.encode(into: &first)
        guard let again = Book(decoding: first.bytes) else {
            throw Broken("a book that was read cannot be read again")
        }
        var second = ByteBuffer()
        again.encode(into: &second)
        try require(first.bytes == second.bytes, "a book that was read twice is another one")
    }

    private static let books: [[UInt8]] = {
        var books: [[UInt8]] = []
        var desk = Desk()
        for line in Desk.day {
            desk.ask(line)
            var bytes = ByteBuffer()
            desk.machine.book.encode(into: &bytes)
            books.append(bytes.bytes.array)
        }
        return books
    }()

    /// Every book of the day as it is, and one of each with a change.
    static var seeds: [[UInt8]] {
        [[0] + books[0], [0] + books[2]] + books.indices.map { [UInt8($0 + books.count)] }
            + books.indices.map { [UInt8($0 + books.count), UInt8($0), 0, 1, 1, 0, 0] }
    }
}

/// Changes to bytes, as an input spells them.
enum Edits {
    static func apply(_ edits: Bytes, to bytes: inout [UInt8]) {
        var at = 0
        while at + 6 <= edits.count, !bytes.isEmpty {
            let place = (Int(edits[at]) | Int(edits[at + 1]) << 8) % bytes.count
            let value = edits.slice(at + 3, at + 6).array
            switch edits[at + 2] & 7 {
            case 0: bytes[place] = value[0]
            case 1: bytes[place] &+= value[0]
            // A count, or the length of a text.
            case 2: for i in 0..<4 where place + i < bytes.count { bytes[place + i] = 0xFF }
            case 3:
                for i in 0..<4 where place + i < bytes.count {
                    bytes[place + i] = i < 3 ? value[i] : 0
                }
            case 4:
                for i in 0..<8 where place + i < bytes.count {
                    bytes[place + i] = i == 7 ? 0x7F : 0xFF
                }
            case 5: bytes.removeSubrange(place..<min(place + 1 + Int(value[0]), bytes.count))
            case 6: bytes.insert(contentsOf: value, at: place)
            default: bytes.removeSubrange(place...)
            }
            at += 6
        }
    }
}
