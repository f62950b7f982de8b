"""Loops over symmetric matrices: products of rows, and eigenvectors by Jacobi's rotations."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

SWEEPS = 60


@njit(cache=True, nogil=True)
def row_products(rows):
    """Mean product of every two rows: (k, n) to (k, k), symmetric to the last bit."""
    k, n = rows.shape
    out = np.empty((k, k))
    for i in range(k):
        for j in range(i + 1):
            total = 0.0
            for t in range(n):
                total += rows[i, t] * rows[j, t]
            out[i, j] = out[j, i] = total / n
    return out


@njit(cache=True, nogil=True)
def jacobi(matrix):
    """Eigenvalues and eigenvectors (rows) of a symmetric matrix, unordered.

    Cyclic rotations (Golub and Van Loan, Matrix Computations, section 8.5) until every off-diagonal element is below
    1e-15 of the matrix's norm. `matrix` is overwritten.
    """
    k = matrix.shape[0]
    vectors = np.eye(k)
    norm = 0.0
    for i in range(k):
        for j in range(k):
            norm += matrix[i, j] * matrix[i, j]
    tiny = 1e-15 * math.sqrt(norm)
    for _ in range(SWEEPS):
        turned = False
        for p in range(k - 1):
            for q in range(p + 1, k):
                if abs(matrix[p, q]) <= tiny:
                    continue
                turned = True
                theta = (matrix[q, q] - matrix[p, p]) / (2.0 * matrix[p, q])
                t = math.copysign(1.0, theta) / (abs(theta) + math.sqrt(theta * theta + 1.0))
                c = 1.0 / math.sqrt(t * t + 1.0)
                s = t * c
                app, aqq, apq = matrix[p, p], matrix[q, q], matrix[p, q]
                for r in range(k):
                    a, b = matrix[p, r], matrix[q, r]
                    matrix[p, r] = c * a - s * b
                    matrix[q, r] = s * a + c * b
                    a, b = vectors[p, r], vectors[q, r]
                    vectors[p, r] = c * a - s * b
                    vectors[q, r] = s * a + c * b
                # The other half follows by symmetry, without walking down columns of a row-major matrix twice.
                for r in range(k):
                    matrix[r, p] = matrix[p, r]
                    matrix[r, q] = matrix[q, r]
                matrix[p, p] = app - t * apq
                matrix[q, q] = aqq + t * apq
                matrix[p, q] = matrix[q, p] = 0.0
        if not turned:
            break
    values = np.empty(k)
    for i in range(k):
        values[i] = matrix[i, i]
    return values, vectors
