package evaluate

import "math"

// assign pairs rows with columns, each at most once and as many as there are of the fewer, so that the sum of the costs is the least. It
// returns the column of each row, or −1.
//
// It adds one row after another along the shortest path that makes room for it (Hungarian method, as in Jonker & Volgenant 1987, "A
// shortest augmenting path algorithm for dense and sparse linear assignment problems"), in time that grows with rows² · columns.
func assign(costs [][]float64) []int {
	if len(costs) == 0 {
		return nil
	}
	if len(costs) > len(costs[0]) {
		return turned(assign(transposed(costs)), len(costs))
	}
	n, m := len(costs), len(costs[0])
	// Row and column 0 stand for none. price of rows and columns: costs less both are never negative.
	rowPrice, columnPrice := make([]float64, n+1), make([]float64, m+1)
	rowOf, before := make([]int, m+1), make([]int, m+1)
	for row := 1; row <= n; row++ {
		rowOf[0] = row
		column := 0
		least, seen := make([]float64, m+1), make([]bool, m+1)
		for j := range least {
			least[j] = math.Inf(1)
		}
		for rowOf[column] != 0 {
			seen[column] = true
			at, next, delta := rowOf[column], 0, math.Inf(1)
			for j := 1; j <= m; j++ {
				if seen[j] {
					continue
				}
				if reduced := costs[at-1][j-1] - rowPrice[at] - columnPrice[j]; reduced < least[j] {
					least[j], before[j] = reduced, column
				}
				if least[j] < delta {
					delta, next = least[j], j
				}
			}
			for j := range least {
				if seen[j] {
					rowPrice[rowOf[j]] += delta
					columnPrice[j] -= delta
				} else {
					least[j] -= delta
				}
			}
			column = next
		}
		for column != 0 {
			rowOf[column] = rowOf[before[column]]
			column = before[column]
		}
	}
	columns := make([]int, n)
	for j := 1; j <= m; j++ {
		if rowOf[j] > 0 {
			columns[rowOf[j]-1] = j - 1
		}
	}
	return columns
}

func transposed(x [][]float64) [][]float64 {
	y := make([][]float64, len(x[0]))
	for j := range y {
		for i := range x {
			y[j] = append(y[j], x[i][j])
		}
	}
	return y
}

// turned returns the column of each of n rows, given the row of each column.
func turned(rows []int, n int) []int {
	columns := make([]int, n)
	for i := range columns {
		columns[i] = -1
	}
	for column, row := range rows {
		columns[row] = column
	}
	return columns
}
