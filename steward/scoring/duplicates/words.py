"""Word lists behind the standard forms: legal forms, titles, short forms of names, street words, role mailboxes.

English, German and Chinese, with the commonest of their neighbours. Everything is in folded form: lower case, without
marks, umlauts as their base letter. Left to others: using them (``standard``, ``levels``, ``profile``).
"""

# ruff: noqa: SIM905 - word lists read best as text

from __future__ import annotations

LEGAL_FORMS = frozenset(
    """
    ab ag aktiengesellschaft as asa aps bv bvba cc co company corp corporation corporated cv dba doo ek ev eg eurl gbr gesellschaft
    gesmbh ggmbh gmbh gmbhco haftungsbeschrankt inc incorporated kft kg kgaa kk kommanditgesellschaft lda limited limitada
    limitee llc llp lp ltd ltda ltee mbh mit beschrankter haftung nv ohg ooo oy oyj partg pbc pc pjsc plc pllc pte pt pty pvt private
    public sa sab sarl sas sasu sca sc sdn bhd se sl slu snc sp spa sprl srl sro ug und the zao pao oao ao oo jsc kaisha kabushiki
    sicav spzoo zoo ooo cjsc ojsc offentliggjort aktiebolag aktieselskab aktsionernoe obshchestvo otvetstvennostyu ogranichennoi
    sociedad anonima societe anonyme societa azioni responsabilita naamloze vennootschap besloten
    """.split()
)

LEGAL_PHRASES = tuple(
    f" {phrase} "
    for phrase in (
        "open joint stock company", "public joint stock company", "closed joint stock company", "joint stock company",
        "limited liability company", "limited liability partnership", "limited partnership", "public limited company",
        "private limited", "societatea cu raspundere limitata", "societe a responsabilite limitee", "societe anonyme",
        "sociedad anonima", "sociedad limitada", "societa per azioni", "societa a responsabilita limitata", "sp z o o", "spolka z o o",
        "spolka z ograniczona odpowiedzialnoscia", "s r o", "d o o", "s a r l", "s p a", "s a", "a s", "a g", "l l c", "l p", "p l c",
        "obshchestvo s ogranichennoi otvetstvennostyu", "otkrytoe aktsionernoe obshchestvo", "zakrytoe aktsionernoe obshchestvo",
        "publichnoe aktsionernoe obshchestvo", "aktsionernoe obshchestvo", "gesellschaft mit beschrankter haftung", "b v", "n v",
        "pty ltd", "co ltd", "gmbh co kg", "g m b h", "youxian gongsi", "gufen youxian gongsi", "youxian zeren gongsi", "kabushiki kaisha",
    )
)  # fmt: skip
"""Legal forms of several words, folded and in Latin letters, with a space at either end; longer ones first."""

COMPANY_COMMON_WORDS = frozenset(
    """
    group gruppe holding holdings international global company solutions services service enterprises enterprise industries
    industry partners partner management ventures trading worldwide systems technologies technology
    """.split()
)
"""Words of many companies' names; they tell less than a name of one's own."""

NAME_PARTICLES = frozenset("al el bin ibn ben bint de der den von van zu da do dos di du la le".split())
"""Small words within people's names that one list writes and the next leaves out."""

COMPANY_CONNECTORS = frozenset("and und et y e of de der die das the & fur for".split())

HAN_LEGAL_FORMS = (
    "股份有限公司", "有限责任公司", "有限責任公司", "集团有限公司", "集團有限公司", "有限公司", "股份公司",
    "集团公司", "集團公司", "分公司", "总公司", "株式会社", "合同会社", "公司", "集团", "集團", "股份",
)  # fmt: skip
"""Longest first."""

HAN_PLACES = (
    "北京", "上海", "天津", "重庆", "河北", "山西", "辽宁", "吉林", "黑龙江", "江苏", "浙江", "安徽", "福建", "江西", "山东",
    "河南", "湖北", "湖南", "广东", "海南", "四川", "贵州", "云南", "陕西", "甘肃", "青海", "台湾", "内蒙古", "广西", "西藏",
    "宁夏", "新疆", "香港", "澳门", "深圳", "广州", "杭州", "南京", "苏州", "成都", "武汉", "西安", "长沙", "郑州", "青岛",
    "宁波", "无锡", "厦门", "东莞", "佛山", "济南", "大连", "沈阳", "哈尔滨", "长春", "石家庄", "福州", "合肥", "昆明", "南昌",
    "贵阳", "南宁", "太原", "兰州", "海口", "珠海", "常州", "温州", "嘉兴", "台北", "高雄",
)  # fmt: skip
"""Provinces and large cities that stand before a company's own name."""

HAN_SURNAMES_OF_TWO = frozenset(
    "欧阳 司马 上官 诸葛 夏侯 皇甫 尉迟 公孙 令狐 慕容 司徒 司空 东方 独孤 南宫 长孙 宇文 端木 百里 呼延 轩辕 西门".split()
)

TITLES = frozenset(
    """
    mr mrs ms miss mister madam sir dame lord lady dr prof professor doctor med phil ing dipl rev reverend hon honorable
    honourable herr frau fraulein hr fr doktor mag magister monsieur madame mme mlle senor senora sra srta
    phd md mba bsc msc esq xiansheng nushi
    """.split()
)

OFFICES = frozenset(
    "president prasident praesident minister chancellor kanzler general colonel sheikh shaikh sheik haji hajji mullah qari sayyid king queen".split()
)
"""Stand before a name as titles do, and are family names as well: taken off only where two names are compared by themselves."""

HAN_TITLES = (
    "总经理", "副总经理", "董事长", "副总", "先生", "女士", "小姐", "太太", "教授", "博士", "经理", "老师", "主任", "工程师", "总监", "律师",
    "医生", "总", "工", "董",
)  # fmt: skip
"""Longest first where one ends with another."""

HAN_FAMILIAR = frozenset("小老阿")
"""Stand before a surname among people who know each other."""

HAN_BRANCH_WORDS = (
    "分公司", "分店", "分行", "支行", "分所", "分院", "分校", "营业部", "营业厅", "办事处", "代表处", "旗舰店", "专卖店", "门店", "分厂", "总店", "店",
)  # fmt: skip
"""End the name of one of a company's places."""

HAN_LINES_IN_ENGLISH = {
    line: frozenset(words.split())
    for line, words in {
        "科技": "technology technologies tech scientific", "技术": "technology technologies tech", "贸易": "trading trade", "商贸": "trading trade commercial",
        "进出口": "import export", "物流": "logistics", "运输": "transport transportation", "供应链": "supply chain", "电子": "electronics electronic",
        "软件": "software", "网络": "network internet", "信息": "information", "数据": "data", "智能": "intelligent smart", "通信": "communications communication telecom",
        "通讯": "communications communication telecom", "生物": "bio biotech biological", "医药": "pharmaceutical pharmaceuticals medicine pharma",
        "制药": "pharmaceutical pharmaceuticals pharma", "药业": "pharmaceutical pharmaceuticals pharma", "化工": "chemical chemicals", "机械": "machinery mechanical",
        "设备": "equipment", "服饰": "garments garment apparel clothing fashion", "服装": "garments garment apparel clothing", "纺织": "textile textiles",
        "家具": "furniture", "餐饮": "catering restaurant food", "酒店": "hotel hotels", "旅游": "travel tourism", "教育": "education", "文化": "culture cultural",
        "传媒": "media", "广告": "advertising", "装饰": "decoration", "汽车": "auto automobile automotive motor", "配件": "parts", "能源": "energy", "新能源": "new energy",
        "环保": "environmental", "农业": "agriculture agricultural", "置业": "property", "地产": "estate property", "房地产": "real estate property", "物业": "property",
        "金融": "finance financial", "保险": "insurance", "银行": "bank", "证券": "securities", "国际": "international", "发展": "development", "控股": "holding holdings",
        "管理": "management", "服务": "service services", "制造": "manufacturing", "材料": "materials material", "新材料": "new materials", "电器": "electric electrical appliances",
        "电气": "electric electrical", "仪器": "instruments instrument", "五金": "hardware metal", "塑料": "plastic plastics", "包装": "packaging packing",
        "印刷": "printing", "珠宝": "jewelry jewellery", "光电": "optoelectronics optoelectronic", "半导体": "semiconductor", "租赁": "leasing", "安防": "security",
        "玩具": "toys toy", "陶瓷": "ceramics ceramic", "茶业": "tea", "酒业": "liquor wine", "渔业": "fishery fisheries", "园林": "gardens garden landscape",
        "影视": "film pictures", "建筑": "construction building architecture", "建设": "construction", "工程": "engineering", "投资": "investment investments",
        "咨询": "consulting consultancy", "网络科技": "network technology", "文化传媒": "culture media", "生物科技": "biotechnology biotech", "实业": "industrial industry industries", "食品": "food foods", "人力资源": "human resources", "电子商务": "commerce",
    }.items()
}  # fmt: skip
"""How companies translate their line of business."""

HAN_LINES_OF_BUSINESS = (
    "信息技术", "网络科技", "信息科技", "电子科技", "生物科技", "智能科技", "文化传媒", "进出口", "房地产", "电子商务", "人力资源", "国际贸易",
    "国际物流", "软件技术", "建筑工程", "机械设备", "科技", "贸易", "商贸", "实业", "投资", "咨询", "传媒", "物流", "建设", "建筑", "工程", "电子",
    "软件", "网络", "信息", "技术", "食品", "医药", "药业", "制药", "化工", "机械", "设备", "服饰", "服装", "纺织", "家具", "餐饮", "酒店", "旅游",
    "教育", "文化", "广告", "装饰", "汽车", "能源", "环保", "农业", "置业", "地产", "物业", "金融", "保险", "银行", "证券", "国际", "发展", "控股",
    "管理", "服务", "制造", "材料", "新材料", "通信", "通讯", "电器", "电气", "仪器", "五金", "塑料", "包装", "印刷", "珠宝", "家居", "母婴",
    "生物", "智能", "数据", "光电", "半导体", "新能源", "运输", "供应链", "租赁", "安防", "玩具", "陶瓷", "茶业", "酒业", "渔业", "园林", "影视", "配件", "矿业", "钢材",
)  # fmt: skip
"""What a company does; two that share the rest of their names and differ in this are two companies. Longest first."""

GENERATION = {
    "jr": "2nd", "junior": "2nd", "sr": "1st", "senior": "1st", "i": "1st", "ii": "2nd", "iii": "3rd", "iv": "4th", "jun": "2nd",
    "sen": "1st", "jnr": "2nd", "snr": "1st",
}  # fmt: skip
"""Marks that tell father from son."""

_SHORT_FORMS = """
robert bob rob bobby robbie bert robby
william bill will billy willie liam wilhelm willi willy wim
richard dick rick richie ricky rich
edward ed eddie ted teddy ned eduard
james jim jimmy jamie jakob
john johnny jack jon johannes hans johann jan
jonathan jon jonny nathan
michael mike mick mickey micky michel michi
thomas tom tommy
charles charlie chuck chas karl carl
joseph joe joey josef sepp jupp
david dave davey
daniel dan danny
matthew matt matthias matthaus mathias
andrew andy drew andreas
anthony tony anton toni
christopher chris kit christoph christof
christian chris
christine chris christina christiane tina chrissy
nicholas nick nicky nikolaus nicolas klaus niko
samuel sam sammy
samantha sam sammy
benjamin ben benny
alexander alex sascha sandy xander alec
alexandra alex sandra sascha sandy
stephen steve steven stefan steffen stephan
gregory greg gregor
timothy tim timmy
peter pete petey pit
patrick pat paddy
patricia pat patty tricia trish
ronald ron ronnie
donald don donnie
kenneth ken kenny
lawrence larry laurence lorenz lars
leonard leo len lenny leonhard
frederick fred freddie freddy friedrich fritz frederic
gerald jerry gerry gerd gerhard
jeffrey jeff geoff geoffrey
raymond ray
philip phil phillip philipp
walter walt wally
harold harry hal
henry harry hank heinrich heinz hendrik henrik
albert al bert
alfred al fred
louis lou luis ludwig lewis louie
george georg jurgen jorg juergen
susan sue susie suzy susanne suzanne susanna
elizabeth liz beth betty eliza lizzie elisabeth lisa lisbeth elise bess libby betsy
margaret maggie meg peggy marge margarete grete gretchen greta margarethe
katherine kate kathy katie catherine cathy kathryn katharina katrin kathrin kat
jennifer jen jenny
jessica jess jessie
barbara barb babs barbie
rebecca becky becca
deborah deb debbie
dorothy dot dottie dolly dorothea dorothee
victoria vicky vicki tori viktoria
virginia ginny
teresa terry theresa tess theresia resi
pamela pam
kimberly kim
cynthia cindy
amanda mandy
angela angie
antoinette toni
ann anna anne annie nancy annette anni
mary marie maria molly polly mia
eleanor ellie nell ella elly eleonore
ellen ellie nelly
abigail abby gail
josephine jo josie josefine
joanna jo joanne johanna hanna
caroline carrie carol carolin karoline
annabelle annabel anabella belle
zara sarah sara
leigh lee lea
morris morrie maurice moritz
ursula uschi ulla
ulrich uli ulli
ulrike ulli rike
sebastian basti seb
maximilian max
siegfried sigi
manfred manni
wolfgang wolf
bernhard bernd bernard bernie
rudolf rudi rudolph
dietrich dieter
konrad kurt conrad
franziska franzi
gabriele gabi gaby
michaela michi
mohamed muhammad mohammed muhammed mohammad
eugene gene eugen
francis frank fran franz
frances fran fanny franziska
martin marty
vincent vince vinnie
zachary zach zack
joshua josh
douglas doug
nathaniel nat nate nathan
theodore ted theo teddy theodor
isabella bella isabel isabelle isa
jacqueline jackie
melissa missy lissa
sophia sophie sofia
"""


def short_forms() -> dict[str, frozenset[int]]:
    """Return the groups that each given name belongs to; two names fit where they share a group."""
    groups: dict[str, set[int]] = {}
    for number, line in enumerate(_SHORT_FORMS.strip().splitlines()):
        for name in line.split():
            groups.setdefault(name, set()).add(number)
    return {name: frozenset(numbers) for name, numbers in groups.items()}


STREET_WORDS = {
    "street": "st", "str": "st", "strasse": "st", "avenue": "ave", "av": "ave", "boulevard": "blvd", "blv": "blvd", "bl": "blvd",
    "road": "rd", "drive": "dr", "lane": "ln", "court": "ct", "place": "pl", "plaza": "plz", "square": "sq", "highway": "hwy",
    "parkway": "pkwy", "terrace": "ter", "crossing": "xing", "circle": "cir", "suite": "ste", "apartment": "apt", "floor": "fl",
    "north": "n", "south": "s", "east": "e", "west": "w", "northeast": "ne", "northwest": "nw", "southeast": "se",
    "southwest": "sw", "saint": "st", "fort": "ft", "mount": "mt", "platz": "pl", "weg": "weg", "first": "1st", "second": "2nd",
    "third": "3rd", "fourth": "4th", "fifth": "5th", "sixth": "6th", "seventh": "7th", "eighth": "8th", "ninth": "9th",
    "tenth": "10th", "jalan": "jln", "number": "no", "nr": "no", "center": "ctr", "centre": "ctr",
}  # fmt: skip

ROLE_MAILBOXES = frozenset(
    """
    info sales office contact kontakt mail email service support admin administrator hello hallo post postmaster webmaster
    marketing hr jobs billing accounts buchhaltung rechnung verwaltung zentrale empfang reception team noreply donotreply
    enquiries inquiries help helpdesk orders bestellung einkauf vertrieb purchasing kefu xiaoshou gongsi bangong kundenservice
    """.split()
)

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier", "feb february februar fevrier", "mar march marz maerz mars mrz", "apr april avril",
            "may mai", "jun june juni juin", "jul july juli juillet", "aug august aout", "sep sept september septembre",
            "oct october okt oktober octobre", "nov november novembre", "dec december dez dezember decembre",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
