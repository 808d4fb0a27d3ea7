import Events

/// Texts by a small number, in memory that does not move while one is added.
// Not private: the release build destroys it from other modules, and found no metadata of a private one.
package struct NumberedTexts: ~Copyable {
    private var known: [Bytes?] = []
    private var owned: [UnsafeMutableRawPointer] = []
    private var odd: (text: String, bytes: Bytes)?

    deinit { for pointer in owned { pointer.deallocate() } }

    func text(_ number: UInt32) -> Bytes? {
        Int(number) < known.count ? known[Int(number)] : nil
    }
    /// - Parameter number: `.max` for one that has none, such as a peer's uid; the last is remembered.
    mutating func add(_ number: UInt32, _ text: String) -> Bytes {
        if number == .max, let odd, odd.text == text { return odd.bytes }
        let count = text.utf8.count
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: 1)
        owned.append(memory)
        text.withBytes { if count > 0 { memory.copyMemory(from: $0.base!, byteCount: count) } }
        let bytes = Bytes(memory, count: count)
        if number == .max {
            odd = (text, bytes)
        } else {
            while known.count <= Int(number) { known.append(nil) }
            known[Int(number)] = bytes
        }
        return bytes
    }
}
