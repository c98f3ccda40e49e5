"""Features that are prepared once, before any training on them: of images and of captions ([C], CUB Image-Captions).

[C]: Chen, Zhu 2022.
"""
