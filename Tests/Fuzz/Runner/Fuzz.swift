import Events
import FuzzTargets

// libFuzzer around one of the targets, which TOLLGATE_FUZZ_TARGET names: by the environment, because
// libFuzzer starts itself again for merges. Built only with TOLLGATE_FUZZ=1; `deploy/fuzz` does all that.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafeRawPointer?, _ size: Int) -> CInt {
    guard let start, size > 0, let target else { return 0 }
    do throws(Broken) {
        try target.check(Bytes(start, count: size))
    } catch {
        fatalError("\(target.rawValue): \(error)")
    }
    return 0
}

private let target = FuzzTarget.fromEnvironment

// SwiftPM makes `main` an alias of this symbol, so libFuzzer is started from here, not by its own main.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutableRawPointer,
    _ body: @convention(c) (UnsafeRawPointer?, Int) -> CInt
) -> CInt

@_cdecl("Fuzz_main")
public func start(_ argc: CInt, _ argv: UnsafeMutableRawPointer) -> CInt {
    guard let target else {
        print("TOLLGATE_FUZZ_TARGET must be one of \(FuzzTarget.names)")
        return 64
    }
    if let folder = FuzzTarget.seedFolder {
        target.writeSeeds(to: folder)
        return 0
    }
    var argc = argc
    var argv = argv
    return runDriver(&argc, &argv, fuzz)
}
