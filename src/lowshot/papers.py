"""The papers that several parts of lowshot come from, as BibTeX. Those of a single part are in its own file."""

from __future__ import annotations

HARIHARAN_2017 = """
@inproceedings{hariharan2017lowshot,
  author = {Hariharan, Bharath and Girshick, Ross},
  title = {Low-shot Visual Recognition by Shrinking and Hallucinating Features},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  year = {2017},
  eprint = {1606.02819},
  archivePrefix = {arXiv},
}
"""
"""The benchmark, its linear classifier, its generator, its auxiliary losses and its networks."""

VINYALS_2016 = """
@inproceedings{vinyals2016matching,
  author = {Vinyals, Oriol and Blundell, Charles and Lillicrap, Timothy and Kavukcuoglu, Koray and Wierstra, Daan},
  title = {Matching Networks for One Shot Learning},
  booktitle = {Advances in Neural Information Processing Systems (NIPS)},
  year = {2016},
  eprint = {1606.04080},
  archivePrefix = {arXiv},
}
"""
"""Episodes of N classes with K shots, and matching networks."""

SNELL_2017 = """
@inproceedings{snell2017prototypical,
  author = {Snell, Jake and Swersky, Kevin and Zemel, Richard},
  title = {Prototypical Networks for Few-shot Learning},
  booktitle = {Advances in Neural Information Processing Systems (NIPS)},
  year = {2017},
  eprint = {1703.05175},
  archivePrefix = {arXiv},
}
"""

WANG_2018 = """
@inproceedings{wang2018imaginary,
  author = {Wang, Yu-Xiong and Girshick, Ross and Hebert, Martial and Hariharan, Bharath},
  title = {Low-Shot Learning from Imaginary Data},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2018},
  eprint = {1801.05401},
  archivePrefix = {arXiv},
}
"""
"""Generators that are trained end to end, and prototype matching networks."""

GIDARIS_2018 = """
@inproceedings{gidaris2018dynamic,
  author = {Gidaris, Spyros and Komodakis, Nikos},
  title = {Dynamic Few-Shot Visual Learning without Forgetting},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2018},
  eprint = {1804.09458},
  archivePrefix = {arXiv},
}
"""
"""Cosine classifiers, and weights of novel classes by attention over base classes."""

QI_2018 = """
@inproceedings{qi2018imprinted,
  author = {Qi, Hang and Brown, Matthew and Lowe, David G.},
  title = {Low-Shot Learning with Imprinted Weights},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2018},
  eprint = {1712.07136},
  archivePrefix = {arXiv},
}
"""

TWO_COVARIANCES = """
@inproceedings{ioffe2006plda,
  author = {Ioffe, Sergey},
  title = {Probabilistic Linear Discriminant Analysis},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year = {2006},
}

@inproceedings{prince2007plda,
  author = {Prince, Simon J. D. and Elder, James H.},
  title = {Probabilistic Linear Discriminant Analysis for Inferences About Identity},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  year = {2007},
}

@article{chen2010shrinkage,
  author = {Chen, Yilun and Wiesel, Ami and Eldar, Yonina C. and Hero, Alfred O.},
  title = {Shrinkage Algorithms for {MMSE} Covariance Estimation},
  journal = {IEEE Transactions on Signal Processing},
  year = {2010},
  eprint = {0907.4698},
  archivePrefix = {arXiv},
}
"""
"""Gaussian classes whose means have a Gaussian prior, and the shrinkage of their covariances."""
