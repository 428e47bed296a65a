"""What a publisher does with a finished release: check it."""

from valor_data.stages.release.verify import VerifyResult, verify

__all__ = ["VerifyResult", "verify"]
