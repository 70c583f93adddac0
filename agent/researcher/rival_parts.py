"""Names by which programs call what they are built of, by kind: data of `agent.researcher.rival_code`."""

from __future__ import annotations

import re

_WORDS = {
    "architecture": (
        r"(?:wide_)?res(?:net|next)\d\w*|vit_\w+|efficientnet_\w+|convnext_\w+|densenet\d+|mobilenet_\w+|unet\w*"
        r"|Transformer(?:Encoder|Decoder)?(?:Layer)?|MLPMixer|\w*Classifier|\w*Regressor|[A-Z]\w*(?:Block|Mixer)"
    ),
    "layer": (
        r"Conv(?:Transpose)?\dd|LSTM|GRU|\w*Attention|scaled_dot_product_attention|\w*Norm(?:\dd)?|Dropout\w*"
        r"|(?:Adaptive)?(?:Max|Avg)Pool\dd|MaxPooling\dD|Embedding|GELU|SiLU|Swish|Mish|PReLU|GLU|SwiGLU|DropPath"
    ),
    "optimiser": (
        r"AdamW?|SGD|RMSprop|Adagrad|Adadelta|Lion|LAMB|LARS|Adafactor|NAdam|RAdam|Muon|LBFGS|SAM|SOAP|Shampoo"
        r"|Lookahead"
    ),
    "loss": r"\w*Loss|focal_loss|cross_entropy|binary_cross_entropy\w*|kl_div|label_smoothing\w*",
    "augmentation": (
        r"Random[A-Z]\w+|ColorJitter|[Mm]ix[Uu]p|[Cc]ut[Mm]ix|[Cc]utout|AutoAugment|RandAugment|TrivialAugment\w*"
        r"|AugMix|ElasticTransform|GaussianBlur|\w*[Aa]ugment(?:ation|er)?"
    ),
    "schedule": (
        r"\w+LR|OneCycle\w*|\w*Scheduler|get_\w+_schedule(?:_with_warmup)?|(?:cosine|linear)_(?:decay|schedule)"
    ),
    "averaging": r"AveragedModel|SWA\w*|\w*EMA|ExponentialMovingAverage|ModelEma\w*",
    "ensemble": r"Voting\w+|Bagging\w+|Stacking\w+|\w*Ensemble",
    "features": r"PCA|\w+Scaler|PolynomialFeatures|QuantileTransformer|KBinsDiscretizer|TfidfVectorizer|hog",
    "regularisation": (r"clip_grad_norm_?|clip_grad_value_|spectral_norm|weight_norm|EarlyStopping|stochastic_depth"),
}
KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple((kind, re.compile(words)) for kind, words in _WORDS.items())
"""Kinds of parts, the most far-reaching first, with what programs call them."""


def kind_of(name: str) -> str:
    """What a name stands for; empty where it is none of these."""
    return next((kind for kind, pattern in KINDS if pattern.fullmatch(name)), "")
