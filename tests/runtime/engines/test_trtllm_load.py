"""GPU sets, the launcher's environment, settings, the messages between the processes."""

from __future__ import annotations

from typing import Any

import pytest
from gemma4_runtime.engines.tensorrt_llm import wire
from gemma4_runtime.engines.tensorrt_llm.load import clean_environment
from gemma4_runtime.engines.tensorrt_llm.sampling import Features, sampling_arguments
from gemma4_runtime.errors import Status
from gemma4_runtime.messages import SamplingParams, SentError
from gemma4_runtime.settings import load_settings
from gemma4_runtime.trtllm.gpu_sets import GpuError, check_visible, parse_gpu_sets, visible_gpus


@pytest.mark.parametrize(
    ("text", "per_set", "sets"),
    [
        ("0", 1, ("0",)),
        ("0;1", 1, ("0", "1")),
        (" 0, 1 ; 2 ,3", 2, ("0,1", "2,3")),
        ("GPU-5a3c-01;MIG-7f/0", 1, ("GPU-5a3c-01", "MIG-7f/0")),
    ],
)
def test_gpu_sets(text: str, per_set: int, sets: tuple[str, ...]) -> None:
    assert parse_gpu_sets(text, per_set=per_set) == sets


@pytest.mark.parametrize(
    ("text", "per_set", "says"),
    [
        ("", 1, "'' is no GPU"),
        ("0;", 1, "'' is no GPU"),
        ("0,a", 2, "'a' is no GPU"),
        ("-1", 1, "is no GPU"),
        ("0;1", 2, "names 1 GPUs, the engine runs on 2"),
        ("0,1", 1, "names 2 GPUs"),
        ("0,1;1,2", 2, "'1' is named twice"),
    ],
)
def test_gpu_sets_that_are_none(text: str, per_set: int, says: str) -> None:
    with pytest.raises(GpuError, match=says):
        parse_gpu_sets(text, per_set=per_set)


def test_visible_gpus() -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == 0
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "-1"}) == 0
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "0,3"}) == 2
    check_visible(2, 2)
    check_visible(2, None)
    with pytest.raises(GpuError, match=r"2 GPUs .* 1 are visible"):
        check_visible(2, 1)


OURS = {"TRTLLM_NO_USAGE_STATS": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


@pytest.mark.parametrize(
    "name",
    [
        "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_NODE_RANK", "OMPI_UNIVERSE_SIZE",
        "OMPI_FIRST_RANKS", "OMPI_APP_CTX_NUM_PROCS", "OMPI_MCA_orte_hnp_uri",
        "OMPI_MCA_orte_ess_num_procs", "ORTE_SCHIZO_DETECTION", "PMIX_RANK", "PMIX_NAMESPACE",
        "PMIX_SERVER_URI", "PMIX_SERVER_URI2", "PMIX_SERVER_URI21", "PMIX_SERVER_URI3",
        "PMIX_SERVER_TMPDIR", "PMIX_SYSTEM_TMPDIR", "PMIX_SECURITY_MODE", "PMIX_GDS_MODULE",
        "PMIX_BFROPS_MODULE", "PMIX_PTL_MODULE", "PMIX_VERSION", "PMIX_HOSTNAME", "PMI_RANK",
        "PMI_SIZE", "PMI_FD", "PMI_SPAWNED", "PMI_APPNUM",
    ],
)  # fmt: skip
def test_what_a_launcher_says_of_its_job_is_removed(name: str) -> None:
    env = {name: "0", "PATH": "/bin"}
    clean_environment(env)
    assert env == {"PATH": "/bin"} | OURS


@pytest.mark.parametrize(
    "name",
    [
        "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_btl",
        "OMPI_MCA_coll_hcoll_enable", "OMPI_MCA_pml", "OMPI_MCA_rmaps_base_oversubscribe",
        "OMPI_MCA_plm_rsh_agent", "PMIX_MCA_gds", "PMIX_MCA_psec", "PMIX_INSTALL_PREFIX",
        "PRTE_MCA_rmaps_default_mapping_policy", "OPAL_PREFIX", "UCX_TLS", "NCCL_DEBUG",
    ],
)  # fmt: skip
def test_what_configures_mpi_stays(name: str) -> None:
    env = {name: "0"}
    clean_environment(env)
    assert env == {name: "0"} | OURS


def test_settings() -> None:
    env = {"GEMMA4_ENGINE_DIR": "e", "GEMMA4_GPU_DEVICE_IDS": "0;1"}
    assert load_settings(env).gpu_device_ids == "0;1"
    assert load_settings(env | {"GEMMA4_GPU_DEVICE_IDS": " "}).gpu_device_ids is None
    assert load_settings(env | {"GEMMA4_TRTLLM_ANY_VERSION": "1"}).trtllm_any_version
    with pytest.raises(ValueError, match="GEMMA4_TRTLLM_ANY_VERSION='yes'"):
        load_settings(env | {"GEMMA4_TRTLLM_ANY_VERSION": "yes"})


def test_messages_survive() -> None:
    submit = wire.Submit("k", [1, 2], SamplingParams(max_tokens=3, bad_token_ids=(4,)))
    events = [
        wire.Tokens("k", [1], None),
        wire.Failed("k", SentError(Status.INTERNAL, "engine_failed", "m", "f", {"a": 1})),
        wire.Lost("c"),
    ]
    for message, decode in ((submit, wire.decode_command), (events, wire.decode_events)):
        data = wire.frame(message)  # type: ignore[arg-type]
        (length,) = wire.LENGTH.unpack_from(data)
        assert decode(data[wire.LENGTH.size :]) == message
        assert len(data) == wire.LENGTH.size + length


def test_greedy_sends_no_filters() -> None:
    greedy = sampling_arguments(
        SamplingParams(max_tokens=5, temperature=0.0), prompt_tokens=9, max_tokens=5, pad_id=0
    )
    absent = ("seed", "top_k", "logprobs", "bad_token_ids", "prompt_ignore_length")
    assert not set(greedy) & set(absent)
    hot = sampling_arguments(
        SamplingParams(max_tokens=5, seed=2**64 + 3, log_probs=True, bad_token_ids=(7,)),
        prompt_tokens=9, max_tokens=5, pad_id=0, banned=(7, 8),
    )  # fmt: skip
    assert (hot["top_k"], hot["top_p"], hot["min_p"]) == (64, 0.95, 0.0)
    assert (hot["seed"], hot["logprobs"], hot["bad_token_ids"]) == (3, 0, [7, 8])


@pytest.mark.parametrize(
    ("penalties", "ignored"),
    [
        ({"presence_penalty": 0.5}, 9),
        ({"frequency_penalty": -0.5}, 9),
        ({"repetition_penalty": 1.2}, None),
        ({"repetition_penalty": 1.2, "presence_penalty": 0.5}, 9),
    ],
)
def test_presence_and_frequency_leave_the_prompt_out(
    penalties: dict[str, Any], ignored: int | None
) -> None:
    """``prompt_ignore_length`` does not concern the repetition penalty."""
    arguments = sampling_arguments(
        SamplingParams(max_tokens=5, **penalties), prompt_tokens=9, max_tokens=3, pad_id=0,
        answered=2,
    )  # fmt: skip
    assert arguments.get("prompt_ignore_length") == ignored
    assert {name: arguments[name] for name in penalties} == penalties


def test_features() -> None:
    assert Features.of({"guided_decoding_backend": "xgrammar"}) == Features(
        True, True, False, False
    )
    config = {"decoding_type": "MTP", "enable_penalty": True}
    assert Features.of({"speculative_config": config}) == Features(False, False, True, True)
