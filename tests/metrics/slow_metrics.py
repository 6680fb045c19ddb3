"""The metrics again, written out the straight way: whole volumes, one component after another, every pair of points.

Tests check the fast code against these; `benchmarks/bench_metrics.py` times both.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import ndimage

CUBE = np.ones((3, 3, 3), bool)
EIGHTEEN = ndimage.generate_binary_structure(3, 2)
REGIONS = {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}


def surface_elements(mask, areas):
    """Positions and areas of all 2x2x2 blocks that are neither full nor empty, visited one bit at a time."""
    padded = np.pad(mask, 1)
    code = np.zeros([n - 1 for n in padded.shape], int)
    for bit, (i, j, k) in enumerate(product((0, 1), repeat=3)):
        code += padded[i:, j:, k:][: code.shape[0], : code.shape[1], : code.shape[2]].astype(int) * 2**bit
    surface = (code > 0) & (code < 255)
    return surface, areas[code]


def area_hd95(truth, prediction, spacing, areas):
    """Surface-area weighted HD95 with distance transforms of the box around both masks."""
    box = ndimage.find_objects((truth | prediction).astype(np.uint8))[0]
    on_truth, truth_area = surface_elements(truth[box], areas)
    on_prediction, prediction_area = surface_elements(prediction[box], areas)
    to_truth = ndimage.distance_transform_edt(~on_truth, sampling=spacing)
    to_prediction = ndimage.distance_transform_edt(~on_prediction, sampling=spacing)
    directed = []
    for here, distance, area in ((on_truth, to_prediction, truth_area), (on_prediction, to_truth, prediction_area)):
        order = np.argsort(distance[here])
        share = np.cumsum(area[here][order]) / area[here].sum()
        directed.append(distance[here][order][min(np.searchsorted(share, 0.95), share.size - 1)])
    return max(directed)


def lesionwise(truth, prediction, spacing, areas, dilation=3, floor_mm3=50, worst=374.0):
    """BraTS 2023 rule: a full-volume dilation, search and score for each lesion."""
    components, n_predicted = ndimage.label(prediction, CUBE)
    pieces, n_pieces = ndimage.label(truth, CUBE)
    together, n_lesions = ndimage.label(ndimage.binary_dilation(truth, EIGHTEEN, iterations=dilation), CUBE)
    dice, hd95, hit = [], [], set()
    for number in range(1, n_lesions + 1):
        lesion = np.zeros(truth.shape, bool)
        for piece in range(1, n_pieces + 1):
            where = pieces == piece
            if (together[where] == number).all():
                lesion |= where
        reach = ndimage.binary_dilation(lesion, EIGHTEEN, iterations=dilation)
        touching = [n for n in np.unique(components[reach]) if n > 0]
        hit.update(touching)
        if lesion.sum() * np.prod(spacing) <= floor_mm3:
            continue
        if not touching:
            dice.append(0.0)
            hd95.append(worst)
            continue
        merged = np.isin(components, touching)
        dice.append(2 * (merged & lesion).sum() / (merged.sum() + lesion.sum()))
        hd95.append(area_hd95(lesion, merged, spacing, areas))
    false = n_predicted - len(hit)
    if not dice and not false:
        return 1.0, 0.0
    return sum(dice) / (len(dice) + false), (sum(hd95) + worst * false) / (len(hd95) + false)


def border_points(mask, spacing):
    """Border voxels in mm: those with a background voxel among their six neighbours."""
    return np.argwhere(mask & ~ndimage.binary_erosion(mask)) * np.asarray(spacing)


def all_pairs(first, second):
    """Distance from each point of `first` to the nearest of `second`, over every pair."""
    return np.sqrt(((first[:, None] - second[None]) ** 2).sum(-1)).min(1)


def voxel_hd(truth, prediction, spacing, percent):
    """Larger directed percentile of the distances between border voxels, over every pair."""
    a, b = border_points(truth, spacing), border_points(prediction, spacing)
    return max(np.percentile(all_pairs(a, b), percent), np.percentile(all_pairs(b, a), percent))


def surface_dice(truth, prediction, spacing, tolerance, areas):
    """Area-weighted surface Dice over every pair of surface elements."""
    points, area = [], []
    for mask in (truth, prediction):
        surface, weight = surface_elements(mask, areas)
        points.append(np.argwhere(surface) * np.asarray(spacing))
        area.append(weight[surface])
    near = [all_pairs(points[0], points[1]) <= tolerance, all_pairs(points[1], points[0]) <= tolerance]
    return (area[0][near[0]].sum() + area[1][near[1]].sum()) / (area[0].sum() + area[1].sum())


def ranking(scores, truth):
    """Average precision, AUROC, best Dice and Dice at 5 % FPR, one threshold after another."""
    n_tumour, n_other = truth.sum(), (~truth).sum()
    precision, recall, ap, dice, at_fpr = 0.0, 0.0, 0.0, [], 0.0
    for threshold in np.unique(scores)[::-1]:
        predicted = scores >= threshold
        hits, false = (predicted & truth).sum(), (predicted & ~truth).sum()
        precision, before, recall = hits / (hits + false), recall, hits / n_tumour
        ap += (recall - before) * precision
        dice.append(2 * hits / (hits + false + n_tumour))
        if false / n_other <= 0.05:
            at_fpr = dice[-1]
    wins = (scores[truth][:, None] > scores[~truth][None]) + 0.5 * (scores[truth][:, None] == scores[~truth][None])
    return ap, wins.mean(), max(dice), at_fpr


def plain_case(labels, truth_labels, spacing, areas):
    """One case the way one writes it with scipy on whole volumes: the same rows as `score_case` in the main."""
    rows = {}
    for region, members in REGIONS.items():
        truth, prediction = np.isin(truth_labels, members), np.isin(labels, members)
        both, n_truth, n_predicted = (truth & prediction).sum(), truth.sum(), prediction.sum()
        rows[region, "dice"] = 2 * both / (n_truth + n_predicted)
        rows[region, "iou"] = both / (truth | prediction).sum()
        rows[region, "precision"], rows[region, "recall"] = both / n_predicted, both / n_truth
        rows[region, "false_positive_ml"] = (prediction & ~truth).sum() * np.prod(spacing) / 1000
        border = [mask & ~ndimage.binary_erosion(mask) for mask in (truth, prediction)]
        away = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in border]
        ahead, back = away[1][border[0]], away[0][border[1]]
        rows[region, "hd_mm"] = max(ahead.max(), back.max())
        rows[region, "hd95_mm"] = max(np.percentile(ahead, 95), np.percentile(back, 95))
        elements = [surface_elements(mask, areas) for mask in (truth, prediction)]
        near = [ndimage.distance_transform_edt(~surface, sampling=spacing) <= 1 for surface, _ in elements]
        (on_t, area_t), (on_p, area_p) = elements
        within = area_t[on_t & near[1]].sum() + area_p[on_p & near[0]].sum()
        rows[region, "surface_dice_1mm"] = within / (area_t[on_t].sum() + area_p[on_p].sum())
        rows[region, "lesionwise_dice"], rows[region, "lesionwise_hd95_mm"] = lesionwise(
            truth, prediction, spacing, areas
        )
    return rows
