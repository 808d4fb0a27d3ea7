import Events

/// One personal text and its commitment, borrowed.
package struct PersonalRecord {
    package enum State: UInt8, Sendable {
        case kept = 1
        case erased = 2
    }
    package let offset: Int
    package let state: State
    package let field: PersonalField
    /// None for requests of keys that nobody knows.
    package let org: AccountNumber
    package let commitment: Commitment
    package let text: Bytes
    /// Of an erased one: the event that tells of it.
    package let erasedBy: (epoch: UInt32, seq: UInt64)

    /// The length of the record at the front of `bytes`; nil when they are too few or begin with none.
    static func length(_ bytes: Bytes) -> Int? {
        guard bytes.count >= PersonalFile.recordBytesMin else { return nil }
        let length = Int(bytes.base!.field(UInt16.self, 4))
        guard length >= PersonalFile.recordBytesMin, length <= PersonalFile.recordBytesMax,
            length <= bytes.count
        else { return nil }
        return length
    }
    /// - Parameter bytes: as many as the record's length says.
    init?(_ bytes: Bytes, at offset: Int) {
        let at = bytes.base!
        guard at.field(UInt32.self, 0) == DiskBytes.checksum(bytes.slice(4, bytes.count)),
            let state = State(rawValue: at.field(UInt8.self, 6)),
            let field = PersonalField(rawValue: at.field(UInt8.self, 7))
        else { return nil }
        self.offset = offset
        self.state = state
        self.field = field
        org = AccountNumber(at.field(UInt32.self, 8))
        commitment = Commitment(low: at.field(UInt64.self, 12), high: at.field(UInt64.self, 20))
        text = bytes.slice(PersonalFile.recordBytesMin, bytes.count)
        erasedBy = (at.field(UInt32.self, 28), at.field(UInt64.self, 32))
    }
}
