from tests.support.worker_runs import run_worker


def test_samples_say_whether_their_summary_was_cut(checkpoint, evaluation_set):
    whole = run_worker(checkpoint, evaluation_set, {})
    lengths = [sample["prompt_tokens"] for sample in whole.samples]
    most = sorted(lengths)[1]
    cut = run_worker(checkpoint, evaluation_set, {}, max_prompt_tokens=most)
    assert cut.outcome["status"] == "ok", cut.outcome["reason"]
    assert [sample["truncated"] for sample in cut.samples] == [length > most for length in lengths]
    assert max(sample["prompt_tokens"] for sample in cut.samples) <= most
    assert "truncated" not in whole.samples[0]
