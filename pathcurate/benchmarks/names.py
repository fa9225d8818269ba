"""What the metrics are called."""

from collections.abc import Mapping
from typing import Final

METRICS: Final[Mapping[str, tuple[str, str]]] = {
    "auroc": ("area under the ROC curve", "ROC 曲线下面积"),
    "average_precision": ("average precision", "平均精确率"),
    "brier": ("Brier score", "Brier 分数"),
    "accuracy": ("accuracy", "准确率"),
    "balanced_accuracy": ("balanced accuracy", "平衡准确率"),
    "sensitivity": ("sensitivity", "灵敏度"),
    "specificity": ("specificity", "特异度"),
    "ppv": ("positive predictive value", "阳性预测值"),
    "npv": ("negative predictive value", "阴性预测值"),
    "f1": ("F1", "F1 分数"),
    "mcc": ("Matthews correlation", "马修斯相关系数"),
    "macro_f1": ("F1, mean of classes", "宏平均 F1"),
    "weighted_f1": ("F1, weighted by class", "加权平均 F1"),
    "kappa": ("Cohen's kappa", "Cohen κ 系数"),
    "macro_auroc": ("area under the ROC curves, each class against the rest", "一对其余 ROC 曲线下面积（宏平均）"),
    "quadratic_kappa": ("quadratic weighted kappa", "二次加权 κ 系数"),
    "within_one": ("right or one grade off", "相差不超过一级的比例"),
    "grade_distance": ("mean distance in grades", "平均等级差"),
    "mae": ("mean absolute error", "平均绝对误差"),
    "rmse": ("root mean squared error", "均方根误差"),
    "r2": ("coefficient of determination", "决定系数 R²"),
    "pearson": ("Pearson correlation", "Pearson 相关系数"),
    "spearman": ("Spearman correlation", "Spearman 等级相关系数"),
    "bias": ("bias (mean of predicted less true)", "偏倚（预测减真值的均值）"),
    "agreement_low": ("lower limit of agreement", "95 % 一致性界限下限"),
    "agreement_high": ("upper limit of agreement", "95 % 一致性界限上限"),
    "concordance": ("Harrell's concordance", "Harrell 一致性指数"),
    "exact": ("exactly right", "完全正确率"),
    "macro_topic": ("exactly right, mean of topics", "各主题完全正确率的均值"),
}  # fmt: skip
"""Each metric in English and Chinese."""
LESS_IS_BETTER: Final = frozenset({"brier", "grade_distance", "mae", "rmse"})
_OF_A_CLASS = {"recall": ("recall", "召回率"), "precision": ("precision", "精确率")}


def metric_name(metric: str) -> tuple[str, str]:
    """A metric in English and Chinese; ``recall:G3`` is the recall of the class G3."""
    kind, _, of_class = metric.partition(":")
    if of_class and kind in _OF_A_CLASS:
        en, zh = _OF_A_CLASS[kind]
        return f"{en} of {of_class}", f"{of_class} 的{zh}"
    return METRICS[metric]
