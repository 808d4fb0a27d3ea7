/// The nearest names for a bare one that means nothing.
extension NaiveModel {
    /// ` hint=` and up to three models; empty when nothing is near.
    func hint(_ asked: String) -> String {
        guard !asked.contains("/"), (1...64).contains(asked.utf8.count) else {
            return ""
        }
        let most = asked.utf8.count <= 3 ? 1 : asked.utf8.count <= 8 ? 2 : 3
        var near: [(distance: Int, isOwnName: Int, order: Int)] = []
        for (order, model) in models.enumerated() {
            var names = aliases.filter { $0.value == model }.map { ($0.key, 0) }
            names.append((String(model.split(separator: "/").last!), 1))
            let distances = names.compactMap { name, isOwnName -> (Int, Int)? in
                let edits = Self.edits(asked, name)
                if edits <= most {
                    return (edits, isOwnName)
                }
                return asked.utf8.count >= 3 && name.hasPrefix(asked) ? (most + 1, isOwnName) : nil
            }
            if let (distance, isOwnName) = distances.min(by: <) {
                near.append((distance, isOwnName, order))
            }
        }
        let best = near.sorted { $0 < $1 }.prefix(3).map { models[$0.order] }
        return best.isEmpty ? "" : " hint=\(best.joined(separator: ","))"
    }

    /// The fewest characters to put in, take out or replace.
    static func edits(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        var row = Array(0...b.count)
        for i in a.indices {
            var diagonal = row[0]
            row[0] = i + 1
            for j in b.indices {
                let replaced = diagonal + (a[i] == b[j] ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, diagonal + 1, row[j] + 1)
            }
        }
        return row[b.count]
    }
}
