"""What aiconfigurator 0.12.0 wrote and said, once, and a program that says it again."""

from __future__ import annotations

from pathlib import Path

__all__ = ["RECORDED", "program"]

RECORDED = (
    "model,isl,osl,prefix,concurrency,request_rate,bs,global_bs,ttft,tpot,request_latency,"
    "encoder_latency,encoder_memory,seq/s,seq/s/gpu,tokens/s,tokens/s/gpu,tokens/s/user,"
    "num_total_gpus,tp,pp,dp,moe_tp,moe_ep,cp,parallel,gemm,kvcache,fmha,moe,comm,memory,"
    "balance_score,num_ctx_reqs,num_gen_reqs,num_tokens,ctx_tokens,gen_tokens,backend,version,"
    "system,power_w,tokens/s/gpu_cluster\n"
    "google/gemma-4-26B-A4B,1024,512,0,176,11.597,176,176,312.701,29.266,15267.468,0,0.0,11.597,"
    "11.597,5926.095,5926.095,34.17,1,1,1,1,1,1,1,tp1pp1dp1etp1ep1,bfloat16,bfloat16,bfloat16,"
    "bfloat16,half,93.468,0.057,6.0,170.0,6314.0,6144,170.0,trtllm,1.3.0rc20,h200_sxm,0.0,"
    "5926.095\n"
)
"""best_config_topn.csv for an H200, bf16, 1,024 and 512 tokens, TTFT 500 ms, ITL 30 ms."""

_SAID = "03:09:25 [aiconfigurator] [I] [main.py:3154] Loading AIConfigurator version: 0.12.0"


def program(folder: Path, *, table: str = RECORDED, before: str = "") -> Path:
    """Write a program that runs ``before``, says what aiconfigurator says, and writes ``table``
    where it does."""
    path, csv = folder / "aiconfigurator", folder / "recorded.csv"
    csv.write_text(table, encoding="utf-8")
    path.write_text(
        "#!/bin/sh\n"
        f"{before}\n"
        'while [ "$1" != --save-dir ]; do shift; done\n'
        f"echo '{_SAID}' >&2\n"
        'mkdir -p "$2/google/gemma-4-26B-A4B_h200_sxm_1/agg"\n'
        f'cp "{csv}" "$2/google/gemma-4-26B-A4B_h200_sxm_1/agg/best_config_topn.csv"\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path
