/// `hold.extended`: an open hold grew, or lives longer; it is now what stands here.
///
///     32 u32 hold's epoch   36 u64 hold's seq   44 u40 in   49 u40 out   54 i64 usd
///     62 u32 until (s since 1970)   66 u32 price version
///
/// flags: service tier.
package struct HoldExtended: Sendable {
    package var header: EventHeader
    package var hold: HoldName
    package var input: Int64
    package var output: Int64
    package var usd: Nanodollars
    /// Whole seconds since 1970.
    package var until: UInt32
    package var price: UInt32

    package var tier: ServiceTier { ServiceTier(rawValue: header.flags) ?? .standard }
    package var untilInstant: Instant { Instant(seconds: Int64(until)) }

    package init(
        header: EventHeader, hold: HoldName, input: Int64, output: Int64, usd: Nanodollars,
        until: UInt32, price: UInt32
    ) {
        self.header = header
        self.hold = hold
        self.input = input
        self.output = output
        self.usd = usd
        self.until = until
        self.price = price
    }
    package init(_ event: StoredEvent) throws(EventError) {
        var reader = ByteReader(event.body)
        header = event.header
        hold = reader.hold()
        input = reader.uint40()
        output = reader.uint40()
        usd = Nanodollars(reader.int64())
        until = reader.uint32()
        price = reader.uint32()
        guard !reader.failed, reader.remaining == 0 else { throw .truncated }
        guard input <= Bounds.tokensMax, output <= Bounds.tokensMax, usd.raw >= 0, header.flags < 4
        else { throw .malformed("amount") }
    }
    package func encode(into buffer: inout ByteBuffer) {
        let length = 70
        let at = buffer.appendUnwritten(length)
        header.store(to: at, length: length)
        at.put(hold, at: 32)
        at.put(uint40: input, at: 44)
        at.put(uint40: output, at: 49)
        at.put(usd.raw, at: 54)
        at.put(until, at: 62)
        at.put(price, at: 66)
    }
}
