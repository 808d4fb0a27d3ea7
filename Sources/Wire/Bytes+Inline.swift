import Events

// The parser's own view of `Bytes`. Across a module border Swift 6.3 calls `Bytes[i]` and `slice`
// as functions even with cross-module optimisation; here they must be one instruction (measured:
// 200 ns a RESERVE with the calls; `tollgate bench` has the present number).
extension Bytes {
    /// Byte `i`; the caller has compared it with `count`.
    @inline(__always)
    subscript(at i: Int) -> UInt8 {
        assert(i >= 0 && i < count)
        return base.unsafelyUnwrapped.load(fromByteOffset: i, as: UInt8.self)
    }
    /// The bytes from `from` up to `to` of a run that is not empty.
    @inline(__always)
    func cut(_ from: Int, _ to: Int) -> Bytes {
        assert(from >= 0 && from <= to && to <= count)
        return Bytes(base.unsafelyUnwrapped + from, count: to - from)
    }
}
