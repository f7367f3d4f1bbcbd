"""The transparency log as pure functions of bytes: RFC 6962 trees and proofs, C2SP tiles, notes, checkpoints."""
