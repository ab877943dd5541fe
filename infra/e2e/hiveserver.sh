#!/bin/sh
# Runs a HiveServer2 on this machine: the Thrift server of Apache Spark, out of
# the Python package pyspark. For recording anew what the tests of connect/hive
# replay, and for trying the client by hand; needs Java 17, Python and the
# network.
#
#	infra/e2e/hiveserver.sh /tmp/hive &
#	go test ./shared/connect/hive -record -hive hive2://127.0.0.1:10000 -hive-http http://127.0.0.1:10001/cliservice
set -eu

version=3.5.3
dir=${1:?the folder to work in}
mkdir -p "$dir"
cd "$dir"
[ -x venv/bin/pip ] || python3 -m venv venv
venv/bin/pip install -q "pyspark==$version"
SPARK_HOME=$(venv/bin/python -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))')
export SPARK_HOME SPARK_LOCAL_IP=127.0.0.1

serve() { # serve NAME SETTING...: each has a metastore of its own
	mkdir -p "$1"
	(
		cd "$1"
		shift
		exec "$SPARK_HOME/bin/spark-submit" --driver-memory 1g --conf spark.ui.enabled=false --conf spark.sql.shuffle.partitions=1 \
			--class org.apache.spark.sql.hive.thriftserver.HiveThriftServer2 spark-internal \
			--hiveconf hive.server2.thrift.bind.host=127.0.0.1 "$@" >log 2>&1
	) &
}
serve binary --hiveconf hive.server2.thrift.port=10000
serve http --hiveconf hive.server2.transport.mode=http --hiveconf hive.server2.thrift.http.port=10001
trap 'kill 0' INT TERM
wait
