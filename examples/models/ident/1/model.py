"""Takes four numbers a row, gives the same four numbers."""

from __future__ import annotations

import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests: list[pb.InferenceRequest]) -> list[pb.InferenceResponse]:
        # DLPack in both models: `as_numpy` of this backend release is wrong with numpy 2.
        return [
            pb.InferenceResponse([pb.Tensor.from_dlpack("OUT", pb.get_input_tensor_by_name(request, "IN"))])
            for request in requests
        ]
