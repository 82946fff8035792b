"""ROUGE F1 per headline, as a metric module that the ``evaluate`` library loads by path, without a network.

The loader reads the imports line by line, so each has a line of its own.
"""

import re

import datasets
import evaluate
from rouge_score import rouge_scorer

KEYS = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
SENTENCE_END = re.compile(r"(?<=[.!?\u061f\u06d4\u0964])\s+|(?<=[\u3002\uff01\uff1f])\s*")


class HeadlineRouge(evaluate.Metric):
    """ROUGE-1, -2, -L and -Lsum of single texts, unaggregated: the library's own aggregate resamples at random."""

    def _info(self):
        return evaluate.MetricInfo(
            description="ROUGE F1 of each headline against its reference.",
            citation="Lin, ROUGE: A Package for Automatic Evaluation of Summaries, 2004.",
            inputs_description="predictions and references: one text each.",
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
        )

    def _compute(self, predictions, references, use_stemmer=True, tokenizer=None):
        """Return one list of F1 scores per ROUGE variant, in the order of the texts.

        ``tokenizer`` is a function from a text to its tokens; without one it is rouge_score's own, for English.
        """
        own = tokenizer and Tokenizer(tokenizer)
        scorer = rouge_scorer.RougeScorer(KEYS, use_stemmer=use_stemmer, tokenizer=own)
        scores = {key: [] for key in KEYS}
        for prediction, reference in zip(predictions, references, strict=True):
            result = scorer.score(split_sentences(reference), split_sentences(prediction))
            for key in KEYS:
                scores[key].append(result[key].fmeasure)
        return scores


class Tokenizer:
    """A function as rouge_score wants it."""

    def __init__(self, function):
        self._function = function

    def tokenize(self, text):
        """Return the tokens of a text."""
        return self._function(text)


def split_sentences(text):
    """Put each sentence on a line of its own, which is how ROUGE-Lsum tells sentences apart."""
    return SENTENCE_END.sub("\n", text.strip())
