import Events
import Testing

@testable import Gate

/// The test vector of `schemas/secrets.md`, and what is no secret.
@Suite struct `A secret` {
    private static let random = Array("0123456789ABCDEFGHIJabcdefghij".utf8)
    private static let vector = "tg_live_0123456789ABCDEFGHIJabcdefghij4Us3aw"
    private static let digest = "1f751569a260045f9e65d51e1aa09bfb3ab384218406c510d5691b7194c214eb"

    @Test func `is the published test vector`() throws {
        let secret = Secret.make(environment: "live", random: Self.random)
        #expect(secret == Self.vector)
        #expect(secret.withBytes { Secret.digest($0) }.hex == Self.digest)
        let page = try Repository.text("schemas/secrets.md")
        for published in [Self.vector, Self.digest, "\(Secret.alphabet)"] {
            #expect(page.contains(published), "secrets.md lacks \(published)")
        }
    }
    @Test(
        arguments: [
            ("live", "tg_live_"), (nil, "tg_key_"), ("", "tg_key_"), ("Pro-d_1", "tg_prod1_"),
            ("ümlaut", "tg_mlaut_"), ("---", "tg_key_"),
            ("abcdefghijklmnopqrstuvwxyz", "tg_abcdefghijklmnopqrstuvwx_"),
        ] as [(String?, String)])
    func `names its environment`(environment: String?, prefix: String) {
        let secret = Secret.make(environment: environment, random: Self.random)
        #expect(secret.hasPrefix(prefix + "0123"))
        #expect(secret.utf8.count == prefix.utf8.count + 36)
        #expect(secret.withBytes { Secret.isWellFormed($0) })
    }
    @Test func `is found wrong at any one byte`() {
        let bytes = Array(Self.vector.utf8)
        // The environment is not covered by the checksum: only the digest tells it.
        for at in bytes.indices where at < 3 || at >= 7 {
            for other: UInt8 in [0x30, 0x5A, 0x5F, 0x7A, 0x20, 0xC3] where other != bytes[at] {
                var changed = bytes
                changed[at] = other
                #expect(!changed.withExactBytes { Secret.isWellFormed($0) }, "byte \(at)")
            }
        }
        for count in 0..<bytes.count {
            #expect(!Array(bytes.prefix(count)).withExactBytes { Secret.isWellFormed($0) })
        }
        #expect(!(bytes + [0x30]).withExactBytes { Secret.isWellFormed($0) })
    }
    @Test func `is never made twice`() {
        var seen: Set<String> = []
        for _ in 0..<1_000 {
            let secret = Secret.generate(environment: "test")
            #expect(secret.withBytes { Secret.isWellFormed($0) })
            #expect(seen.insert(secret).inserted)
        }
    }
}
