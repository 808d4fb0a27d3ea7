import Events
import Testing

@Suite struct `Extras of an event` {
    private func event(_ flags: UInt8, _ tail: [UInt8]) -> [UInt8] {
        var buffer = ByteBuffer()
        var header = EventHeader(
            type: .holdSettled, epoch: 1, seq: 1, time: Instant(nanoseconds: 0), actor: .daemon,
            account: AccountNumber(0))
        header.flags = 0
        HoldSettled(
            header: header, hold: HoldName(epoch: 1, seq: 1),
            usage: TokenUsage(input: 1, output: 1), usd: .zero, price: 0, milliseconds: 0
        ).encode(into: &buffer)
        var bytes = Array(UnsafeRawBufferPointer(start: buffer.base, count: buffer.count)) + tail
        bytes[0] = UInt8(bytes.count)
        bytes[3] = flags
        return bytes
    }

    @Test(
        arguments: [
            ([], "no extras although the flag says so"), ([0], "none of them"),
            ([1, 9], "a tag alone"), ([1, 9, 3, 0], "fewer bytes than the length says"),
            ([2, 9, 1, 0], "fewer than the count says"),
            ([1, 9, 1, 0, 9, 1, 0], "more than the count says"), ([1, 1, 0], "an empty instant"),
            ([1, 3, 11, 0, 0, 0, 0, 0, 0, 0, 0, 67, 78, 89 + 32], "a currency in lower case"),
            ([1, 4, 0], "an empty model"),
        ] as [([UInt8], String)])
    func `are refused when malformed`(tail: [UInt8], what: String) {
        #expect(throws: EventError.self, "\(what)") {
            try event(0x80, tail).withExactBytes { _ = try HoldSettled(StoredEvent($0)) }
        }
    }
    @Test func `are refused without the flag`() {
        #expect(throws: EventError.self) {
            try event(0, [1, 9, 1, 0]).withExactBytes { _ = try HoldSettled(StoredEvent($0)) }
        }
    }
    @Test func `survive a round trip even if nobody knows the tag`() throws {
        let bytes = event(0x80, [2, 200, 2, 7, 7, 4, 4, 97, 117, 116, 111])
        #expect(try bytes.withExactBytes { try reencoded($0) } == bytes)
        let json = try bytes.withExactBytes { try exported($0) }
        #expect(json.contains(#""asked_model":"auto""#))
    }
}
