"""Lawful, quoting and asking texts that must never be flagged. The kinds are those that cost most to get wrong."""

from __future__ import annotations

import pytest

from pipeline import Classifier

HARD_NEGATIVES = [
    "秒下钱包怎么样?先看放款方和综合成本",
    "凡是宣传不看征信、百分百下款的都是套路,请勿转账",
    '民警提醒:以"秒到账、免征信"招揽的网贷多为诈骗',
    '被告以"黑户当天放款"为诱饵收取服务费,一审判四年',
    "律师您好,有家说不用征信的App借了我三千到手两千一,合法吗",
    "我征信有两次逾期,房贷还能批下来吗",
    "求助,急用钱给孩子交学费,有不看征信的贷款吗",
    "用营业执照贷款,银行会查法人的征信报告吗",
    "某行信用卡能办现金分期吗,额度怎么定",
    "某某农商行消费贷年利率(单利)3.1%起,最高30万,以审批为准,贷款有风险",
    "新客首借30天免息券,期满年化18%(单利),由某某消费金融提供",
    "白户、花户、黑户分别是什么意思",
    "国家助学贷款怎么申请,要带哪些证件",
    "按央行安排,符合条件的小额逾期还清后自动不展示,不收费",
    "征信报告有错,可以去征信中心提异议,不花钱",
    "银行声明:本行从未委托中介办贷,谨防冒名",
    "平台收了我298会员费没下款,怎么投诉退回",
    "用芝麻分做替代变量训练申请评分卡的笔记",
    "转贷降息陷阱多,监管部门提示五类风险",
    "平台禁用词示例:无视征信、必下款、包过",
    "公积金贷款当天能放款吗,一般审批多久",
    "口子窖两瓶立减四十,限时三天",
    "放水养鱼的政策吹风会开了",
    "月薪八千在家做单,加V领任务",
    "打新百分百中签的内部渠道,名额不多",
    "我们不做黑户也不做包装,只对接持牌银行",
]


@pytest.mark.parametrize("text", HARD_NEGATIVES)
def test_hard_negative_is_not_flagged(classifier: Classifier, text: str) -> None:
    verdict = classifier.check(text)
    assert verdict.severity < 2, (verdict.p_misleading, verdict.codes)
