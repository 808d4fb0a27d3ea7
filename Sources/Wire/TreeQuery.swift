import Events

/// `TREE checkpoint|cosigned|inclusion|consistency|cosign|manifest …`: the log's Merkle tree.
package enum TreeQuery {
    case checkpoint
    case cosigned
    case inclusion(seq: UInt64, size: UInt64?)
    case consistency(old: UInt64, new: UInt64?)
    case cosign(note: Bytes, witness: Bytes?)
    case manifest(Bytes)

    package init(_ arguments: Arguments) throws(Failure) {
        try arguments.checkCount(.tree)
        let (word, count) = (arguments[1], arguments.count)
        func number(_ i: Int) throws(Failure) -> UInt64 {
            guard let size = arguments[i].unsignedDecimal,
                size <= UInt64(WireLimits.sequenceMax)
            else {
                throw Failure(.error, "'\(echo(arguments[i]))' is no event's number and no size")
            }
            return size
        }
        if word == "checkpoint", count == 2 {
            self = .checkpoint
        } else if word == "cosigned", count == 2 {
            self = .cosigned
        } else if word == "inclusion", count == 3 || count == 4 {
            self = .inclusion(seq: try number(2), size: count == 4 ? try number(3) : nil)
        } else if word == "consistency", count == 3 || count == 4 {
            self = .consistency(old: try number(2), new: count == 4 ? try number(3) : nil)
        } else if word == "cosign", count == 3 || count == 4 {
            self = .cosign(note: arguments[2], witness: count == 4 ? arguments[3] : nil)
        } else if word == "manifest", count == 3 {
            self = .manifest(arguments[2])
        } else {
            throw Failure(
                .error, "TREE does not take that: the syntax is \(Verb.tree.syntax)")
        }
    }
}
