"""Which language a caption is written in.

py3langid (BSD-3-Clause) carries its model, trained on 140 languages, in its wheel of 4.5 MB; it needs
numpy and nothing else, and no network.
"""

from valor_data.scorers import packages

_SURE = 0.5
"""Probability from which an answer counts. Below it stand texts of a few words in whatever language. Of
39,668 English captions (VALOR-32K, AudioCaps) 4 are called foreign, each of four words at most."""


class LanguageFinder:
    """The model, opened: half a second and 125 MB. Raises UserError where the package is missing."""

    def __init__(self) -> None:
        langid = packages.load("py3langid.langid", "text")
        self._model = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)

    def language_of(self, text: str) -> str:
        """The ISO 639 code of the text's language, such as `en`; empty where the model is not sure."""
        language, probability = self._model.classify(text)
        return str(language) if probability >= _SURE else ""
